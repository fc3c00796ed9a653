// The page of a polyspan server.

import { authorization, button, call, cut, documentPath, element, find, link, percent, say } from "./common.js";
import { why } from "./heat.js";
import { open, selected } from "./viewer.js";

let asked = "";

function quote(answer) {
  const start = answer.start - answer.context_start;
  const [before, middle, after] = cut(answer.context, start, start + (answer.end - answer.start));
  return element("blockquote", { dir: "auto" }, before, element("mark", {}, middle), after);
}

function source(place) {
  const page = place.page ? `, page ${place.page}` : "";
  return button(`${place.document}${page}`, () => open(place), { className: "source" });
}

async function tell(verdict, { document: name, start, end }, row) {
  try {
    await call("POST", "v1/feedback", { question: asked, document: name, verdict, start, end });
    row?.replaceChildren("Thank you.");
    say("Your feedback is kept.");
  } catch (error) {
    say(error.message);
  }
}

function judge(answer) {
  const row = element("div", { className: "judge", role: "group", ariaLabel: "Your judgement" });
  row.append(
    button("Right", () => tell("right", answer, row)),
    button("Wrong", () => tell("wrong", answer, row)),
    button("Correct it", () => open(answer, true)),
    button("No answer here", () => tell("unanswerable", answer, row)),
  );
  return row;
}

function card(answer) {
  const fill = element("span");
  fill.style.width = percent(answer.score).replace(" ", "");
  const meter = element("div", { className: "meter" },
    element("span", { className: "bar", ariaHidden: "true" }, fill),
    element("span", {}, `${percent(answer.score)} sure`), source(answer));
  const made = element("article", { className: "answer" }, quote(answer), meter);
  if (answer.also.length) {
    const places = answer.also.map((place) => element("li", {}, source(place)));
    made.append(element("ul", { className: "also", ariaLabel: "The same in" }, ...places));
  }
  const [toggle, panel] = why(answer, asked);
  made.append(element("div", { className: "actions" }, judge(answer), toggle), panel);
  return made;
}

// What contradicts the best answer stands beside it, the others below.
function answersOf({ answers, conflicts }) {
  if (!conflicts.length) return answers.map(card);
  const beside = new Set([0, ...conflicts]);
  const rest = answers.filter((_, place) => !beside.has(place));
  const differ = element("section", { className: "differ", ariaLabel: "Answers that differ" },
    ...[...beside].map((place) => card(answers[place])));
  return [element("p", { className: "none" }, "The documents differ. Compare:"), differ, ...rest.map(card)];
}

function show(reading) {
  const { answers, candidates } = reading;
  if (answers.length) {
    find("answers").replaceChildren(...answersOf(reading));
    say(answers.length === 1 ? "One answer." : `${answers.length} answers.`);
    return;
  }
  const parts = [element("p", { className: "none" },
    `There is no answer in these documents (${percent(reading.no_answer.score)} sure).`)];
  if (candidates.length) {
    parts.push(element("details", {}, element("summary", {}, "Show what comes nearest"), ...candidates.map(card)));
  }
  find("answers").replaceChildren(...parts);
  say("No answer.");
}

async function ask(question) {
  asked = question;
  find("answers").replaceChildren();
  say("Reading…");
  try {
    const reading = await call("POST", "v1/answer", { question });
    if (asked !== question) return;
    show(reading);
    link.write({ q: question });
  } catch (error) {
    say(error.message);
  }
}

async function remove(id) {
  try { await call("DELETE", documentPath(id)); } catch (error) { say(error.message); }
  refresh();
}

async function refresh() {
  try {
    const { documents } = await call("GET", "v1/documents");
    find("list").replaceChildren(...documents.map((one) => {
      const row = element("li", {}, element("span", { dir: "auto" }, one.id));
      if (one.uploaded) row.append(button("Remove", () => remove(one.id), { ariaLabel: `Remove ${one.id}` }));
      return row;
    }));
    find("empty").hidden = documents.length > 0;
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
  for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
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

// What the address names: a question, and perhaps a quote in a document.
async function restore() {
  const values = link.read();
  const question = values.get("q");
  if (question && question !== asked) {
    find("question").value = question;
    await ask(question);
  }
  const [name, start, end] = ["document", "start", "end"].map((key) => values.get(key));
  if (name && /^\d+$/.test(start) && /^\d+$/.test(end)) await open({ document: name, start: Number(start), end: Number(end) });
}

find("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = find("question").value.trim();
  if (question) ask(question);
});
find("files").addEventListener("change", (event) => { upload(event.target.files); event.target.value = ""; });
find("correct").addEventListener("click", () => {
  const span = selected();
  if (!span) { say("Select the right answer in the text first."); return; }
  find("viewer").close();
  tell("corrected", span);
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
find("skip").addEventListener("click", (event) => { event.preventDefault(); find("answers").focus(); });
addEventListener("hashchange", restore);
refresh();
restore();
