// Small pictures the map needs, drawn here: hatch for 无数据, rings with counts, marks for cases and facilities.
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const RATIO = 2; // drawn at twice the size, so that they are sharp on any screen

  function paint(width, height, draw) {
    const canvas = document.createElement("canvas");
    canvas.width = width * RATIO;
    canvas.height = height * RATIO;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.scale(RATIO, RATIO);
    draw(pen);
    return pen.getImageData(0, 0, canvas.width, canvas.height);
  }

  const hatch = () => paint(6, 6, (pen) => {
    pen.fillStyle = "#F2F3F0";
    pen.fillRect(0, 0, 6, 6);
    pen.strokeStyle = "#A9B3AD";
    pen.lineWidth = 1;
    for (const x of [-6, 0, 6]) {
      pen.beginPath();
      pen.moveTo(x - 1, 7);
      pen.lineTo(x + 7, -1);
      pen.stroke();
    }
  });

  // A diamond for what is overdue, a square for what is open: shape first, colour second, a white halo always.
  const mark = (shape) => paint(20, 20, (pen) => {
    pen.lineJoin = "round";
    pen.translate(10, 10);
    const path = {
      overdue: () => [[0, -7], [7, 0], [0, 7], [-7, 0]],
      open: () => [[-5, -5], [5, -5], [5, 5], [-5, 5]],
    }[shape]();
    pen.beginPath();
    path.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.strokeStyle = "#FFFFFF";
    pen.lineWidth = 4;
    pen.stroke();
    pen.fillStyle = shape === "overdue" ? "#C5281C" : "#EFC02E";
    pen.fill();
    pen.strokeStyle = shape === "overdue" ? "#8F1A12" : "#9A7A10";
    pen.lineWidth = 0.8;
    pen.stroke();
  });

  const dot = (fill, inner) => paint(18, 18, (pen) => {
    pen.beginPath();
    pen.arc(9, 9, 7.4, 0, 7);
    pen.fillStyle = "#FFFFFF";
    pen.fill();
    pen.beginPath();
    pen.arc(9, 9, 6, 0, 7);
    pen.fillStyle = fill;
    pen.fill();
    pen.strokeStyle = "#FFFFFF";
    pen.lineWidth = 1.6;
    pen.lineCap = "round";
    pen.beginPath();
    if (inner === "plus") {
      pen.moveTo(9, 6.2); pen.lineTo(9, 11.8); pen.moveTo(6.2, 9); pen.lineTo(11.8, 9);
    } else {
      pen.moveTo(6.6, 10.6); pen.lineTo(9, 7.2); pen.lineTo(11.4, 10.6);
    }
    pen.stroke();
  });

  // Open cases of a division: a dark disc with the count; the red arc is the overdue share.
  function ring(open, overdue) {
    const text = open > 999 ? `${(open / 1000).toFixed(open > 9999 ? 0 : 1)}k` : String(open);
    const r = text.length > 3 ? 15 : text.length > 2 ? 13.5 : text.length > 1 ? 12 : 11;
    const size = Math.ceil(2 * r + 6);
    return paint(size, size, (pen) => {
      const m = size / 2;
      pen.beginPath();
      pen.arc(m, m, r + 2, 0, 7);
      pen.fillStyle = "#FFFFFF";
      pen.fill();
      if (overdue > 0) {
        pen.beginPath();
        pen.arc(m, m, r + 0.4, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * Math.min(1, overdue / open));
        pen.strokeStyle = "#C5281C";
        pen.lineWidth = 2.6;
        pen.stroke();
      }
      pen.beginPath();
      pen.arc(m, m, r - 1.6, 0, 7);
      pen.fillStyle = "#22302C";
      pen.fill();
      pen.fillStyle = "#FFFFFF";
      pen.font = `600 ${text.length > 2 ? 10.5 : 11.5}px "Inter Variable", sans-serif`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(text, m, m + 0.5);
    });
  }

  const DRAWN = {
    hatch, overdue: () => mark("overdue"), open: () => mark("open"),
    facility: () => dot("#4B5854", "roof"), resource: () => dot("#0B6F63", "plus"), "resource-busy": () => dot("#A86000", "plus"),
  };

  onemap.glyph = function (name) {
    if (DRAWN[name]) return DRAWN[name]();
    const parts = name.split("-");
    return parts[0] === "ring" ? ring(Number(parts[1]), Number(parts[2])) : null;
  };
  onemap.glyphRatio = RATIO;
})();
