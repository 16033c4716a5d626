// The filter of the scorecard: rows of one paper, of one verdict, or of both. Without it the whole table is shown.
(() => {
  "use strict";
  const section = document.getElementById("scorecard-cells");
  const form = section.querySelector("form");
  const rows = Array.from(section.querySelectorAll("tbody tr"));
  const filters = Array.from(form.querySelectorAll("[data-filter]"));

  function show() {
    const wanted = filters.filter(each => each.value).map(each => [each.dataset.filter, each.value]);
    for (const row of rows) {
      row.hidden = !wanted.every(([name, value]) => row.dataset[name] === value);
    }
    const shown = rows.filter(row => !row.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${rows.length} cells`;
  }

  form.addEventListener("change", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show)); // once the selects are as they were at first
  form.hidden = false;
  show();
})();
