"use strict";
// One sample at a time: the list above a section's figures chooses which; without this script all are shown.
for (const list of document.querySelectorAll("select.samples")) {
  const all = list.closest("section").querySelectorAll(".sample");
  const choose = () => {
    all.forEach((figure, k) => { figure.hidden = k !== list.selectedIndex; });
  };
  list.addEventListener("change", choose);
  choose();
}
// One bill at a time, or all of them; without this script all are shown.
for (const list of document.querySelectorAll("select.bills")) {
  const all = [...list.closest("section").querySelectorAll(".bill")];
  const choose = () => {
    const every = list.selectedIndex >= all.length;
    all.forEach((bill, k) => { bill.classList.toggle("folded", !every && k !== list.selectedIndex); });
  };
  list.addEventListener("change", choose);
  choose();
}
// A click on a heading sorts its table by that column: numbers by their exact values, largest first.
const key = (row, column) => {
  const cell = row.cells[column], data = cell.querySelector("data");
  const text = cell.textContent.trim();
  return data ? Number(data.value) : text !== "" && !isNaN(text) ? Number(text) : text;
};
const before = (a, b) => {
  const numbers = [typeof a === "number", typeof b === "number"];
  if (numbers[0] !== numbers[1]) { return numbers[0] ? -1 : 1; }
  return numbers[0] ? b - a : a.localeCompare(b);
};
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort by this column";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) { other.removeAttribute("aria-sort"); }
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => before(key(a, column), key(b, column)));
      body.append(...(down ? rows : rows.reverse()));
    });
  });
}
// Paper cannot unfold: open every table for printing and close it afterwards.
const closed = () => document.querySelectorAll("details:not([open])");
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...closed()];
  opened.forEach((part) => { part.open = true; });
});
addEventListener("afterprint", () => {
  opened.forEach((part) => { part.open = false; });
});
