// A field above each table of a cell with the tag "filterable": rows that lack one of its words are hidden.
document.addEventListener("DOMContentLoaded", () => {
  for (const cell of document.querySelectorAll(".tag_filterable")) {
    const rows = [...cell.querySelectorAll("tbody tr")];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const field = document.createElement("input");
    Object.assign(field, { type: "search", className: "filter", placeholder: "Words of a row" });
    field.setAttribute("aria-label", "Show only rows with these words");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/);
      rows.forEach((row, i) => (row.hidden = !words.every((word) => texts[i].includes(word))));
    });
    cell.prepend(field);
  }
});
