// What only a script in the browser can do. `clipseek` says who visits and in which language; listeners are added once.
(() => {
  document.cookie = `${clipseek.cookie}=${clipseek.visitor}; path=/; max-age=${clipseek.cookieSeconds}; SameSite=Strict`;
  document.documentElement.lang = clipseek.language;
  if (window.clipseekListens) return;
  window.clipseekListens = true;

  // Streamlit changes the address at Back and draws nothing: the address says all there is to draw
  window.addEventListener("popstate", () => location.reload());

  // One clip plays at a time; the button that started it has gone, so that the keys go to the player
  document.addEventListener("play", ({ target }) => {
    for (const video of document.querySelectorAll("video")) if (video !== target) video.pause();
    if (document.activeElement === document.body) target.focus({ preventScroll: true });
  }, true);

  // The next page of the library begins at its top
  document.addEventListener("click", ({ target }) => {
    if (target.closest(".st-key-library-pager")) document.querySelector(".st-key-library-bar").scrollIntoView();
  });

  // One Escape closes a dialog, also where Streamlit would take it for a tip
  window.addEventListener("keydown", (event) => {
    const dialog = document.querySelector("[role=dialog]");
    if (event.key !== "Escape" || !dialog || document.fullscreenElement) return;
    event.stopImmediatePropagation();
    dialog.querySelector("[aria-label=Close]").click();
  }, true);

  // What Streamlit leaves out for those who do not see the page
  const set = (element, name, value) => {
    if (element && value && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const all = (selector, work) => document.querySelectorAll(selector).forEach(work);
  let opener = null; // the button of the popover that is open
  const complete = () => {
    all("[data-testid=stMain]", (main) => set(main, "role", "main"));
    all("[data-testid=stIconMaterial]", (icon) => set(icon, "aria-hidden", "true"));
    all("[data-testid=stFileUploaderDropzone]", (zone) => {
      set(zone, "role", "group");
      set(zone, "tabindex", "-1"); // its button does the same
      for (const part of zone.querySelectorAll("input, button")) set(part, "aria-label", zone.ariaLabel);
    });
    all("[data-testid=stPopover] > div[aria-expanded]", (wrap) => {
      const button = wrap.querySelector("button");
      set(button, "aria-haspopup", "dialog");
      set(button, "aria-expanded", wrap.ariaExpanded);
      if (wrap.ariaExpanded === "true") opener = button;
      for (const name of ["aria-haspopup", "aria-expanded"]) wrap.removeAttribute(name); // until Streamlit changes it
    });
    if (opener && !document.querySelector("[data-testid=stPopoverBody]")) {
      if (document.activeElement === document.body) opener.focus(); // the box that had the focus has gone
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
