"""What only a script in the browser can do: keep the visitor's number, follow Back, play one clip at a time."""

import re
import uuid

import streamlit as st

_NUMBER = "visitor.number"
_COOKIE = "clipseek_visitor"
_COOKIE_SECONDS = 30 * 24 * 3600


def visitor() -> str:
    """The number of this browser, the same in all its tabs and after a reload: from its cookie, else a new one."""
    if _NUMBER not in st.session_state:
        cookie = st.context.cookies.get(_COOKIE, "")
        st.session_state[_NUMBER] = cookie if re.fullmatch("[0-9a-f]{32}", cookie) else uuid.uuid4().hex
    number: str = st.session_state[_NUMBER]
    return number


def visitor_script() -> None:
    """Put the script into the page. Listeners are added once a page load, the cookie is renewed at every run."""
    with st.container(key="visitor"):
        st.html(
            f"""<script>
            document.cookie = "{_COOKIE}={visitor()}; path=/; max-age={_COOKIE_SECONDS}; SameSite=Strict";
            if (!window.clipseekListens) {{
              window.clipseekListens = true;
              // Streamlit changes the address at Back and draws nothing: the address says all there is to draw
              window.addEventListener("popstate", () => location.reload());
              document.addEventListener("play", (event) => {{
                for (const video of document.querySelectorAll("video")) if (video !== event.target) video.pause();
              }}, true);
            }}
            </script>""",
            unsafe_allow_javascript=True,
        )
