"""The page: a Streamlit app that talks to the Flow through `clipseek.Client` only; `clipseek serve --page` starts it."""
