// Cells of the table: name, value with its bar, counts. Text only, no HTML from data.
(function () {
  "use strict";
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const e = (...parts) => window.React.createElement(...parts);

  cells.OnemapName = ({ data }) => e("span", { className: "cell-name", title: data.name }, data.name);
  cells.OnemapNumber = ({ data, column }) => e("span", { className: "cell-number" }, data[column.getColId() + "_text"]);
  cells.OnemapBar = ({ data }) =>
    e("span", { className: "cell-bar" },
      e("span", { className: data.unknown ? "unknown" : "cell-number" }, data.value_text),
      data.share === null ? null : e("i", null, e("b", { style: { width: `${Math.max(0, data.share * 100)}%` } })));
  cells.OnemapOverdue = ({ data }) => e("span", { className: data.overdue ? "cell-number breached" : "cell-number muted" }, data.overdue_text);
})();
