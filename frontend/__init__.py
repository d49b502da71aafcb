"""The page: a Streamlit app that talks to the Flow through `clipseek.Client` only. See `clipseek serve --page`."""
