// The page of a polyspan server. Whatever comes from documents is put in as text, never as markup.

const find = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token");
let asked = "";
let shown = null; // what the viewer shows: {answer, document}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function call(method, path, body) {
  const options = { method, headers: token ? { Authorization: `Bearer ${token}` } : {} };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const content = await response.json();
  if (!response.ok) throw new Error(content.detail ?? `The server answered ${response.status}.`);
  return content;
}

const documentPath = (id) => `v1/documents/${id.split("/").map(encodeURIComponent).join("/")}`;
const say = (text) => { find("status").textContent = text; };
const percent = (score) => `${Math.round(100 * score)} %`;

// Offsets of the server count characters; JavaScript's strings count pairs of surrogates twice.
function cut(text, start, end) {
  const characters = Array.from(text);
  return [characters.slice(0, start), characters.slice(start, end), characters.slice(end)].map((part) => part.join(""));
}

function quote(answer) {
  const start = answer.start - answer.context_start;
  const [before, middle, after] = cut(answer.context, start, start + (answer.end - answer.start));
  return element("blockquote", { dir: "auto" }, before, element("mark", {}, middle), after);
}

function source(place, answer) {
  const page = place.page ? `, page ${place.page}` : "";
  const button = element("button", { type: "button", className: "source" }, `${place.document}${page}`);
  button.addEventListener("click", () => open(place, answer));
  return button;
}

function judge(answer) {
  const row = element("div", { className: "judge" });
  for (const [verdict, label] of [["right", "Right"], ["wrong", "Wrong"]]) {
    const button = element("button", { type: "button", className: "plain" }, label);
    button.addEventListener("click", () => tell(verdict, answer, row));
    row.append(button);
  }
  const correct = element("button", { type: "button", className: "plain" }, "Correct it");
  correct.addEventListener("click", () => open(answer, answer, true));
  row.append(correct);
  return row;
}

async function tell(verdict, place, row) {
  try {
    const { document: name, start, end } = place;
    await call("POST", "v1/feedback", { question: asked, document: name, verdict, start, end });
    row?.replaceChildren("Thank you.");
    say("Your feedback is kept.");
  } catch (error) {
    say(error.message);
  }
}

function card(answer) {
  const fill = element("span");
  fill.style.width = percent(answer.score).replace(" ", "");
  const meter = element("div", { className: "meter" },
    element("span", { className: "bar", ariaHidden: "true" }, fill),
    element("span", {}, `${percent(answer.score)} sure`), source(answer, answer));
  const made = element("article", { className: "answer" }, quote(answer), meter);
  if (answer.also.length) {
    const places = answer.also.map((place) => element("li", {}, source(place, answer)));
    made.append(element("ul", { className: "also", ariaLabel: "The same in" }, ...places));
  }
  made.append(judge(answer));
  return made;
}

function show(reading) {
  const parts = [];
  if (reading.answers.length) {
    if (reading.conflicts.length) {
      parts.push(element("p", { className: "none" }, "The documents differ; compare the answers below."));
    }
    parts.push(...reading.answers.map(card));
    say(`${reading.answers.length === 1 ? "One answer" : `${reading.answers.length} answers`}.`);
  } else {
    parts.push(element("p", { className: "none" },
      `There is no answer in these documents (${percent(reading.no_answer.score)} sure).`));
    if (reading.candidates.length) {
      parts.push(element("details", {}, element("summary", {}, "Show what comes nearest"),
        ...reading.candidates.map(card)));
    }
    say("No answer.");
  }
  find("answers").replaceChildren(...parts);
}

async function ask(question) {
  asked = question;
  say("Reading…");
  try {
    show(await call("POST", "v1/answer", { question }));
    const parameters = new URLSearchParams({ q: question });
    history.replaceState(null, "", `?${parameters}${location.hash}`);
  } catch (error) {
    say(error.message);
  }
}

async function open(place, answer, correcting = false) {
  try {
    const found = await call("GET", `${documentPath(place.document)}/text`);
    const [before, middle, after] = cut(found.text, place.start, place.end);
    const mark = element("mark", { tabIndex: -1 }, middle);
    find("viewer-title").textContent = found.id;
    find("text").replaceChildren(before, mark, after);
    find("hint").hidden = !correcting;
    shown = { answer, document: found.id };
    find("viewer").showModal();
    mark.scrollIntoView({ block: "center" });
    mark.focus({ preventScroll: true });
  } catch (error) {
    say(error.message);
  }
}

// Where the selection stands in the document's text, in characters; null without one.
function selected() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed || !find("text").contains(selection.anchorNode)) return null;
  const range = selection.getRangeAt(0);
  const before = document.createRange();
  before.setStart(find("text"), 0);
  before.setEnd(range.startContainer, range.startOffset);
  const start = Array.from(before.toString()).length;
  return { start, end: start + Array.from(range.toString()).length };
}

async function refresh() {
  try {
    const { documents } = await call("GET", "v1/documents");
    find("list").replaceChildren(...documents.map((one) => {
      const row = element("li", {}, element("span", { dir: "auto" }, one.id));
      if (one.uploaded) {
        const button = element("button", { type: "button", className: "plain", ariaLabel: `Remove ${one.id}` }, "Remove");
        button.addEventListener("click", async () => {
          try { await call("DELETE", documentPath(one.id)); } catch (error) { say(error.message); }
          refresh();
        });
        row.append(button);
      }
      return row;
    }));
  } catch (error) {
    say(error.message);
  }
}

function upload(files) {
  if (!files.length) return;
  const body = new FormData();
  for (const file of files) body.append("files", file);
  const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
  const progress = find("progress");
  request.open("POST", "v1/documents");
  if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
  request.upload.addEventListener("progress", (event) => { progress.value = event.loaded / event.total; });
  request.addEventListener("loadend", () => {
    progress.hidden = true;
    let content = {};
    try { content = JSON.parse(request.responseText); } catch { /* said below */ }
    const refused = (content.refused ?? []).map((one) => one.detail).join("; ");
    say(content.added ? [`${content.added.length} added.`, refused].join(" ") : content.detail ?? "The upload failed.");
    refresh();
  });
  progress.hidden = false;
  progress.value = 0;
  say("Uploading…");
  request.send(body);
}

find("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = find("question").value.trim();
  if (question) ask(question);
});
find("files").addEventListener("change", (event) => { upload(event.target.files); event.target.value = ""; });
find("close").addEventListener("click", () => find("viewer").close());
find("correct").addEventListener("click", () => {
  const span = selected();
  if (!span) { say("Select the right answer in the text first."); return; }
  tell("corrected", { document: shown.document, ...span });
  find("viewer").close();
});
const drop = find("drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") upload(event.dataTransfer.files);
  });
}
addEventListener("keydown", (event) => {
  if (event.key === "/" && !(event.target instanceof HTMLInputElement) && !find("viewer").open) {
    event.preventDefault();
    find("question").focus();
  }
});
refresh();
const first = new URLSearchParams(location.search).get("q");
if (first) { find("question").value = first; ask(first); }
