// The lines of a transcript beside the player. Texts are set as text, never as HTML.
const PLAYER = ".st-key-timeline-player video";
const lists = new WeakMap(); // what each mounted list knows: its lines, and since when its clip plays

const make = (tag, className, text = "") => {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
};

const button = (className, label, text, onClick) => {
  const element = make("button", className, text);
  element.type = "button";
  element.title = label;
  element.setAttribute("aria-label", label);
  element.onclick = onClick;
  return element;
};

// A box in place of the text. Enter saves, also an empty text; Escape leaves it as it was
const edit = (row, line, texts, send) => {
  const box = make("textarea", "cs-line-box");
  box.value = line.text;
  box.setAttribute("aria-label", texts.text);
  box.title = texts.text;
  const close = () => { form.remove(); row.classList.remove("cs-line-edited"); row.querySelector(".cs-line-correct").focus(); };
  const save = () => { if (box.value.trim() !== line.text) send("correct", { cue_id: line.cue_id, text: box.value.trim() }); close(); };
  box.onkeydown = (event) => {
    if (event.isComposing) return; // Enter chooses a Chinese word
    if (event.key === "Enter") save();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const form = make("div", "cs-line-form");
  form.append(box, button("", texts.save, texts.save, save), button("", texts.cancel, texts.cancel, close));
  row.classList.add("cs-line-edited");
  row.append(form);
  box.focus();
};

const draw = (line, texts, send) => {
  const row = make("li", "cs-line");
  const play = button("cs-line-play", texts.play.replace("{time}", line.time), "", () => send("play", line.start));
  play.removeAttribute("aria-label"); // its text says more
  const text = make("span", "cs-line-text", line.text);
  text.dir = "auto";
  play.append(make("time", "cs-line-time", line.time), text);
  if (line.note) play.append(make("span", "cs-line-note", line.note));
  row.append(play, button("cs-line-correct", texts.correct, "✎", () => row.querySelector("textarea") || edit(row, line, texts, send)));
  return row;
};

const filter = (list, words) => {
  const wanted = words.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  list.lines.forEach((line, place) => {
    const text = line.text.toLocaleLowerCase();
    const fits = wanted.every((word) => text.includes(word));
    list.rows[place].hidden = !fits;
    shown += fits;
  });
  list.nothing.hidden = shown > 0;
};

// Mark the lines that are heard or seen now, and keep the first of them in sight
const follow = (list, seconds) => {
  let first = null;
  list.lines.forEach((line, place) => {
    const isNow = line.start <= seconds && seconds < line.end;
    const row = list.rows[place];
    row.classList.toggle("cs-line-now", isNow);
    if (isNow) row.setAttribute("aria-current", "true"); else row.removeAttribute("aria-current");
    if (isNow && !first) first = row;
  });
  if (first && first !== list.first && !list.box.matches(":hover, :focus-within"))
    list.box.scrollTop = first.offsetTop - list.box.clientHeight / 3;
  list.first = first;
};

export default ({ parentElement, data, setTriggerValue }) => {
  const { lines, texts, playing } = JSON.parse(data);
  let list = lists.get(parentElement);
  const content = JSON.stringify([lines, texts]);
  if (!list || list.content !== content) {
    const words = list ? list.search.value : "";
    const scrolled = list ? list.box.scrollTop : 0;
    const root = make("div", "cs-transcript");
    const search = make("input", "cs-transcript-find");
    search.type = "search";
    search.value = words;
    search.placeholder = texts.find;
    search.setAttribute("aria-label", texts.find);
    const box = make("ol", "cs-lines");
    const rows = lines.map((line) => draw(line, texts, setTriggerValue));
    const nothing = make("li", "cs-soft", texts.none);
    box.append(...rows, nothing);
    root.append(search, box);
    if (list) list.root.replaceWith(root); else parentElement.append(root);
    list = { content, lines, rows, root, box, search, nothing, playing, first: null };
    search.oninput = () => filter(list, search.value);
    lists.set(parentElement, list);
    filter(list, words);
    box.scrollTop = scrolled;
  }
  list.playing = playing;
  const onTime = ({ target }) => {
    if (target.matches && target.matches(PLAYER)) follow(list, list.playing + target.currentTime);
  };
  document.addEventListener("timeupdate", onTime, true);
  return () => document.removeEventListener("timeupdate", onTime, true);
};
