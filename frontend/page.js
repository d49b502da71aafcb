// What only a script in the browser can do. `clipseek` holds the visitor and the language; listeners are added once.
(() => {
  document.cookie = `${clipseek.cookie}=${clipseek.visitor}; path=/; max-age=${clipseek.cookieSeconds}; SameSite=Strict`;
  document.documentElement.lang = clipseek.language;
  if (window.clipseekListens) return;
  window.clipseekListens = true;

  // On Back, Streamlit changes the address but draws nothing. The address says everything, so load it again
  window.addEventListener("popstate", () => location.reload());

  // One clip plays at a time. The button that started it is gone, so the player gets the keyboard focus
  document.addEventListener("play", ({ target }) => {
    if (target.paused) return; // a clip that started with this one has already stopped it
    for (const video of document.querySelectorAll("video")) // to pause one that still loads would keep it from starting
      if (video !== target && !video.paused) video.pause();
    if (document.activeElement === document.body) target.focus({ preventScroll: true });
  }, true);

  // Show the next page of the library from its top
  document.addEventListener("click", ({ target }) => {
    if (target.closest(".st-key-library-pager")) document.querySelector(".st-key-library-bar").scrollIntoView();
  });

  // One Escape closes a dialog, even where Streamlit would use it to close a tip
  window.addEventListener("keydown", (event) => {
    const dialog = document.querySelector("[role=dialog]");
    if (event.key !== "Escape" || !dialog || document.fullscreenElement) return;
    event.stopImmediatePropagation();
    dialog.querySelector("[aria-label=Close]").click();
  }, true);

  // What Streamlit leaves out for screen readers
  const set = (element, name, value) => {
    if (element && value && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const all = (selector, work) => document.querySelectorAll(selector).forEach(work);
  let opener = null; // the button of the open popover
  const complete = () => {
    all("[data-testid=stMain]", (main) => set(main, "role", "main"));
    all("[data-testid=stIconMaterial]", (icon) => set(icon, "aria-hidden", "true"));
    all("[data-testid=stFileUploaderDropzone]", (zone) => {
      set(zone, "role", "group");
      set(zone, "tabindex", "-1"); // its button does the same
      for (const control of zone.querySelectorAll("input, button")) set(control, "aria-label", zone.ariaLabel);
    });
    all("[data-testid=stPopover] > div[aria-expanded]", (wrap) => {
      const button = wrap.querySelector("button");
      set(button, "aria-haspopup", "dialog");
      set(button, "aria-expanded", wrap.ariaExpanded);
      if (wrap.ariaExpanded === "true") opener = button;
      for (const name of ["aria-haspopup", "aria-expanded"]) wrap.removeAttribute(name); // where Streamlit puts them; it adds them again on each change
    });
    if (opener && !document.querySelector("[data-testid=stPopoverBody]")) {
      if (document.activeElement === document.body) opener.focus(); // the box that had the focus is gone
      opener = null;
    }
    all(".cs-edge", (edge, place) => {
      const steps = document.querySelector(`.st-key-editor-steps-${place}`);
      set(steps, "role", "group");
      set(steps, "aria-label", edge.textContent);
      set(document.querySelectorAll(".st-key-editor-range [role=slider]")[place], "aria-label", edge.textContent);
    });
  };
  new MutationObserver(complete).observe(document.body, { childList: true, subtree: true });
  complete();
})();
