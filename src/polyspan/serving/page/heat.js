// "Why this span?": how probable the reader holds each token of a passage to be the first, or the last, of an answer.

import { button, call, cut, element, percent, say } from "./common.js";

const SHOWN = 0.01;
const LISTED = 3;

const part = (share) => (share < SHOWN ? "< 1 %" : percent(share));

export function why(answer, question) {
  const panel = element("div", { className: "why", hidden: true });
  const toggle = button("Why this span?", async () => {
    try {
      if (!panel.firstChild) panel.append(...drawn(await explained(answer, question)));
      panel.hidden = !panel.hidden;
      toggle.ariaExpanded = String(!panel.hidden);
    } catch (error) {
      say(error.message);
    }
  }, { ariaExpanded: "false" });
  return [toggle, panel];
}

function explained({ document: name, start, end }, question) {
  return call("POST", "v1/explain", { question, document: name, start, end });
}

function drawn(found) {
  const hint = "The stronger the ground, the more probable an answer begins there; the thicker the line, that it ends.";
  return [element("p", { className: "soft" }, hint), heat(found), table(found)];
}

// Colour is not all: a line marks ends, and the table says the same in numbers.
function heat({ text, start, tokens }) {
  const made = element("p", { className: "heat", dir: "auto" });
  const characters = Array.from(text);
  let done = 0;
  for (const token of tokens) {
    if (Math.max(token.start_probability, token.end_probability) < SHOWN) continue;
    const [begin, end] = [token.start - start, token.end - start];
    const span = element("span", { title: `begins ${percent(token.start_probability)}, ends ${percent(token.end_probability)}` },
      characters.slice(begin, end).join(""));
    span.style.setProperty("--start", token.start_probability);
    span.style.setProperty("--end", token.end_probability);
    made.append(characters.slice(done, begin).join(""), span);
    done = end;
  }
  made.append(characters.slice(done).join(""));
  return made;
}

function table({ text, start, tokens, null_start: nullStart, null_end: nullEnd }) {
  const word = (token) => cut(text, token.start - start, token.end - start)[1];
  const best = (side) => [...tokens].sort((a, b) => b[side] - a[side]).slice(0, LISTED)
    .map((token) => [word(token), token[side]]);
  const [starts, ends] = [best("start_probability"), best("end_probability")];
  const rows = starts.map((one, place) => row(one, ends[place]));
  rows.push(row(["no answer here", nullStart], ["no answer here", nullEnd], "soft"));
  const head = element("tr", {}, element("th", { scope: "col", colSpan: 2 }, "Begins with"),
    element("th", { scope: "col", colSpan: 2 }, "Ends with"));
  return element("table", {}, element("caption", {}, "Most probable first and last pieces of words"),
    element("thead", {}, head), element("tbody", {}, ...rows));
}

function row(begin, end, className = "") {
  const cells = [begin, end].flatMap(([text, share]) => [element("td", { dir: "auto" }, text), element("td", {}, part(share))]);
  return element("tr", { className }, ...cells);
}
