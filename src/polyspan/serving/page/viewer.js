// A document with a quote in it: as text, and for a PDF also as the picture of its page.

import { call, cut, documentPath, element, find, link, picture, say } from "./common.js";

let shown = null; // {document, start, end, pages, boxes, page}
let marked = null; // the last selection in its text

export async function open(place, correcting = false) {
  try {
    const found = await call("GET", `${documentPath(place.document)}/text`);
    const boxes = correcting ? [] : await boxesOf(place);
    shown = { ...place, pages: found.page_starts.length, boxes, page: boxes[0]?.page };
    const [before, middle, after] = cut(found.text, place.start, place.end);
    marked = null;
    find("viewer-title").textContent = found.id;
    find("viewer-status").textContent = "";
    find("text").replaceChildren(before, element("mark", { tabIndex: -1 }, middle), after);
    find("hint").hidden = !correcting;
    find("views").hidden = !boxes.length;
    if (!find("viewer").open) find("viewer").showModal();
    link.write({ document: place.document, start: place.start, end: place.end });
    if (boxes.length) await showPage(shown.page); else showText();
  } catch (error) {
    say(error.message);
  }
}

// None where it is no PDF, or one whose file has changed: its text is shown all the same.
async function boxesOf({ document: name, start, end }) {
  if (!name.toLowerCase().endsWith(".pdf")) return [];
  try {
    return (await call("GET", `${documentPath(name)}/boxes?start=${start}&end=${end}`)).boxes;
  } catch {
    return [];
  }
}

function show(view) {
  for (const [name, id] of [["picture", "show-picture"], ["text", "show-text"]]) {
    find(name).hidden = name !== view;
    find(id).ariaPressed = String(name === view);
  }
  find("turn").hidden = view !== "picture";
}

function showText() {
  show("text");
  const mark = find("text").querySelector("mark");
  mark.scrollIntoView({ block: "center" });
  mark.focus({ preventScroll: true });
}

async function showPage(page) {
  show("picture");
  const wanted = shown;
  wanted.page = page;
  find("page-number").textContent = `Page ${page} of ${wanted.pages}`;
  find("previous").disabled = page <= 1;
  find("next").disabled = page >= wanted.pages;
  const width = Math.min(2000, 200 * Math.ceil((find("picture").clientWidth * devicePixelRatio) / 200) || 1000);
  const source = await picture(`${documentPath(wanted.document)}/pages/${page}.png?width=${width}`);
  if (shown !== wanted || wanted.page !== page) { URL.revokeObjectURL(source); return; }
  const here = wanted.boxes.filter((box) => box.page === page);
  const image = element("img", { alt: `Page ${page} of ${wanted.document}${here.length ? ", with the quote marked" : ""}` });
  image.addEventListener("load", () => {
    URL.revokeObjectURL(source);
    find("picture").querySelector(".box")?.scrollIntoView({ block: "center" });
  });
  image.src = source;
  find("picture").replaceChildren(element("div", { className: "sheet" }, image, ...here.map(rectangle)));
}

function rectangle({ left, top, right, bottom }) {
  const made = element("div", { className: "box" });
  const sides = { left, top, width: right - left, height: bottom - top };
  for (const [side, share] of Object.entries(sides)) made.style[side] = `${100 * share}%`;
  return made;
}

// Pressing a button may end a selection, so the last one in the text is remembered.
document.addEventListener("selectionchange", () => {
  const selection = getSelection();
  if (selection.isCollapsed || !find("text").contains(selection.anchorNode)) return;
  marked = selection.getRangeAt(0).cloneRange();
});

// Where the last selection stands in the document's text, in characters; null without one.
export function selected() {
  if (!marked || !find("text").contains(marked.endContainer)) return null;
  const before = document.createRange();
  before.setStart(find("text"), 0);
  before.setEnd(marked.startContainer, marked.startOffset);
  const start = Array.from(before.toString()).length;
  return { document: shown.document, start, end: start + Array.from(marked.toString()).length };
}

async function turn(pages) {
  try { await showPage(shown.page + pages); } catch (error) { say(error.message); }
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link to this quote is copied.");
  } catch {
    say("The link to this quote stands in the address bar.");
  }
}

find("show-picture").addEventListener("click", () => turn(0));
find("show-text").addEventListener("click", showText);
find("previous").addEventListener("click", () => turn(-1));
find("next").addEventListener("click", () => turn(1));
find("copy").addEventListener("click", copyLink);
find("close").addEventListener("click", () => find("viewer").close());
find("viewer").addEventListener("close", () => {
  shown = null;
  find("picture").replaceChildren();
  link.write({ document: null, start: null, end: null });
});
