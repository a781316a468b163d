// Cells of the desk's table, its order and its selection. Text only: no HTML from data.
(function () {
  "use strict";
  const desk = onemap.desk;
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const e = (...parts) => window.React.createElement(...parts);

  cells.DeskDue = ({ data }) => e("span", { className: "standing standing-" + data.standing }, e("i", { className: "mark-of mark-" + data.standing }), data.due);
  cells.DeskNumber = ({ data }) => e("span", { className: "cell-no" }, data.no);
  cells.DeskTitle = ({ data }) => e("span", { className: "cell-title" }, e("b", null, data.title), data.reopened ? e("span", { className: "chip chip-red" }, data.reopened) : null);
  cells.DeskState = ({ data }) => e("span", { className: "chip chip-state" }, data.state);
  // The server puts rows in order; the arrow in the heading only says which order that is.
  functions.OnemapAsGiven = () => 0;

  desk.grid = function () {
    try {
      const api = window.dash_ag_grid && dash_ag_grid.getApi("desk-grid");
      if (api && !api.deskHeard) hear(api);
      return api || null;
    } catch (error) {
      return null; // not there yet, or another page
    }
  };
  desk.rows = function () {
    const api = desk.grid(), rows = [];
    if (api) api.forEachNode((node) => rows.push(node.data));
    return rows;
  };
  desk.picked = () => (desk.grid() ? desk.grid().getSelectedRows() : []);
  desk.unselect = () => desk.grid() && desk.grid().deselectAll();
  desk.toggle = function (no) {
    const node = desk.grid().getRowNode(no);
    node.setSelected(!node.isSelected());
  };

  const ORDER = { due: "due", no: "case_no", title: "title", state: "state", unit: "unit", person: "assignee", reported: "reported" };
  function hear(api) {
    api.deskHeard = true;
    api.addEventListener("sortChanged", (event) => {
      if (event.source !== "uiColumnSorted") return;
      const column = api.getColumnState().find((c) => c.sort);
      const order = column ? (column.sort === "desc" ? "-" : "") + ORDER[column.colId] : null;
      desk.go({ sort: order === "due" ? null : order });
    });
    let told = "";
    api.addEventListener("selectionChanged", () => {
      const numbers = desk.picked().map((row) => row.no);
      if (numbers.join() === told) return;
      told = numbers.join();
      document.getElementById("desk").toggleAttribute("data-picked", numbers.length > 0);
      desk.set("desk-picked", numbers);
    });
    api.addEventListener("modelUpdated", () => desk.mark(desk.open || document.documentElement.dataset.row));
    fit(api);
    new ResizeObserver(() => fit(api)).observe(document.getElementById("desk-table"));
  }
  // A narrow table leaves out what the card says anyway.
  function fit(api) {
    const width = document.getElementById("desk-table").clientWidth;
    if (!width || api.isDestroyed()) return;
    const least = { person: 1230, unit: 1140, reported: 1010, item: 890, place: 740, no: 600 };
    for (const [column, wide] of Object.entries(least)) {
      const shown = width >= wide;
      if (api.getColumn(column) && api.getColumn(column).isVisible() !== shown) api.setColumnsVisible([column], shown);
    }
  }
})();
