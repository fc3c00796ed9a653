// What the parts of the page share. Whatever comes from documents is put in as text, never as markup.

export const find = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function button(label, action, properties = {}) {
  const made = element("button", { type: "button", className: "plain", ...properties }, label);
  made.addEventListener("click", action);
  return made;
}

export const percent = (share) => `${Math.round(100 * share)} %`;

// In the open document where there is one, as the page behind it is not read out.
export function say(text) {
  find(find("viewer").open ? "viewer-status" : "status").textContent = text;
}

// Offsets of the server count characters; JavaScript's strings count pairs of surrogates twice.
export function cut(text, start, end) {
  const characters = Array.from(text);
  return [characters.slice(0, start), characters.slice(start, end), characters.slice(end)].map((part) => part.join(""));
}

// What the address says behind "#": q, the question, and document, start and end of a quote that is shown. It is not sent
// to the server. A token that stands there is kept for this tab alone, so that copied links do not hold it.
export const link = {
  read: () => new URLSearchParams(location.hash.slice(1)),
  write(changes) {
    const values = link.read();
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) values.delete(key); else values.set(key, value);
    }
    history.replaceState(null, "", values.size ? `#${values}` : location.pathname + location.search);
  },
};

if (link.read().has("token")) {
  sessionStorage.setItem("token", link.read().get("token"));
  link.write({ token: null });
}

export function authorization() {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function request(method, path, body, headers) {
  const response = await fetch(path, { method, body, headers: { ...authorization(), ...headers } });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The server answered ${response.status}.`);
}

export async function call(method, path, body) {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await request(method, path, body === undefined ? undefined : JSON.stringify(body), json);
  return response.status === 204 ? null : response.json();
}

export const picture = async (path) => URL.createObjectURL(await (await request("GET", path)).blob());

export const documentPath = (id) => `v1/documents/${id.split("/").map(encodeURIComponent).join("/")}`;
