"use strict";
// Shows /api/openapi.json: each call with its parameters, its body and its answers.

const node = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

// Text with `code` in it.
const prose = (text) => (text ?? "").split("`").map((part, index) => (index % 2 === 1 ? node("code", part) : part));

const resolve = (root, schema) => {
  let found = schema ?? {};
  for (let depth = 0; found.$ref && depth < 8; depth += 1) {
    found = found.$ref.slice(2).split("/").reduce((at, key) => at?.[key], root) ?? {};
  }
  return found;
};

const typeOf = (root, schema) => {
  const name = schema?.$ref?.split("/").pop();
  const found = resolve(root, schema);
  const options = found.oneOf ?? found.anyOf;
  if (options) return options.map((option) => typeOf(root, option)).join(" or ");
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(", ");
  if (found.items) return `array of ${typeOf(root, found.items)}`;
  const type = Array.isArray(found.type) ? found.type.join(" or ") : (found.type ?? "any");
  const range = found.minimum !== undefined && found.maximum !== undefined ? `, ${found.minimum} to ${found.maximum}` : "";
  return (name ?? type) + range;
};

const table = (heads, rows) => {
  const row = (tag, cells) => node("tr", "", ...cells.map((cell) => node(tag, "", ...prose(cell))));
  return node("table", "", node("thead", "", row("th", heads)), node("tbody", "", ...rows.map((cells) => row("td", cells))));
};

const fields = (root, schema) => {
  const found = resolve(root, schema);
  const required = new Set(found.required ?? []);
  const parts = found.allOf ?? [found];
  const rows = parts.flatMap((part) => Object.entries(resolve(root, part).properties ?? {}))
    .map(([name, field]) => [name + (required.has(name) ? " *" : ""), typeOf(root, field), field.description ?? resolve(root, field).description ?? ""]);
  return rows.length > 0 ? table(["Field", "Type", ""], rows) : node("p", typeOf(root, schema));
};

const call = (root, method, path, operation) => {
  const title = node("summary", "", node("code", `${method.toUpperCase()} ${path}`), " ", ...prose(operation.summary));
  const block = node("details", "", title, node("p", "", ...prose(operation.description)));
  if (operation.parameters?.length) {
    block.append(node("h4", "Parameters"), table(["Name", "In", "Type", ""], operation.parameters.map((parameter) =>
      [parameter.name + (parameter.required ? " *" : ""), parameter.in, typeOf(root, parameter.schema), parameter.description ?? ""])));
  }
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) block.append(node("h4", "Body"), fields(root, body));
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    const content = Object.values(resolve(root, answer).content ?? {})[0]?.schema;
    block.append(node("h4", `Answer ${status}`), content ? fields(root, content) : node("p", "", ...prose(answer.description)));
  }
  const parts = [`curl -X ${method.toUpperCase()} '${location.origin}${path}'`];
  parts.push("-H 'Authorization: Bearer TOKEN'");
  if (body) parts.push("-H 'Content-Type: application/json' -d '{…}'");
  block.append(node("pre", parts.join(" \\\n  ")));
  return block;
};

fetch("/api/openapi.json")
  .then((answer) => answer.json())
  .then((root) => {
    document.getElementById("about").firstChild.replaceWith(...prose(root.info.description), " All of it is at ");
    const groups = new Map();
    for (const [path, item] of Object.entries(root.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const tag = operation.tags?.[0] ?? "other";
        groups.set(tag, [...(groups.get(tag) ?? []), call(root, method, path, operation)]);
      }
    }
    const main = document.getElementById("calls");
    for (const [tag, calls] of groups) main.append(node("h2", tag), ...calls);
  })
  .catch((error) => {
    document.getElementById("about").textContent = `The description could not be read: ${error}`;
  });
