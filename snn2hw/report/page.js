"use strict";
// One sample at a time: the list above a section's figures chooses which.
for (const list of document.querySelectorAll("select.samples")) {
  list.addEventListener("change", () => {
    const all = list.closest("section").querySelectorAll(".sample");
    all.forEach((figure, k) => { figure.hidden = k !== list.selectedIndex; });
  });
}
// Paper cannot unfold: open every table for printing and close it afterwards.
const folded = () => document.querySelectorAll("details:not([open])");
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...folded()];
  opened.forEach((part) => { part.open = true; });
});
addEventListener("afterprint", () => {
  opened.forEach((part) => { part.open = false; });
});
