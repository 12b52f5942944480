// Sorting, filtering and opening. The page can be read without any of it.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const names = new Intl.Collator(undefined, { numeric: true });

// What a cell is sorted by; null, which stays last, where there is nothing.
function keyOf(row, column, isNumber) {
  const text = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  return text === "" ? null : isNumber ? Number(text) : text;
}

function sortBy(table, header) {
  const isNumber = header.dataset.sort === "number";
  const before = header.getAttribute("aria-sort");
  const up = before ? before === "descending" : !isNumber; // numbers: the largest first
  all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [keyOf(row, header.cellIndex, isNumber), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return (up ? 1 : -1) * (isNumber ? a - b : names.compare(a, b));
  });
  body.append(...rows.map(([, row]) => row));
}

for (const header of all("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sortBy(header.closest("table"), header));
}

const search = document.getElementById("search");
const few = document.getElementById("few");
function filter() {
  const asked = search.value.trim().toLowerCase();
  for (const item of all("[data-name]")) {
    const named = item.dataset.name.toLowerCase().includes(asked);
    item.hidden = !named || (few.checked && item.dataset.few !== "yes");
  }
  const rows = all("#classes tbody tr");
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = `${shown} of ${rows.length} classes`;
}
search.addEventListener("input", filter);
few.addEventListener("change", filter);
filter(); // a browser may remember what was typed

const sections = all("details.class");
document.getElementById("open").addEventListener("click", () => sections.forEach((each) => (each.open = true)));
document.getElementById("close").addEventListener("click", () => sections.forEach((each) => (each.open = false)));
addEventListener("beforeprint", () => sections.forEach((each) => (each.open = true)));

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
openTarget();
all(".controls").forEach((controls) => (controls.hidden = false));
