// What a card of a case is made of, for its reporter and for who handles it: history, standing, deadline, photos.
(function () {
  "use strict";
  const { h, w } = phone;

  // What happened, newest first.
  phone.timeline = function (events) {
    return h(
      "ol.timeline",
      null,
      [...events].reverse().map((event) =>
        h(
          "li",
          null,
          h("span.dot"),
          h(
            "div",
            null,
            h("b", null, event.name || event.transition),
            h("span.when", null, [phone.time(event.at), event.actor].filter(Boolean).join(" · ")),
            event.note && h("p.said", null, event.note),
            (event.answers || []).map(([name, value]) => h("p.answer", null, h("span", null, name), " ", String(value))),
          ),
        ),
      ),
    );
  };

  phone.standing = function (row) {
    const standing = row.standing || "none";
    const left = row.due_at ? new Date(row.due_at) - Date.now() : null;
    const words =
      standing === "breached" && left !== null
        ? w("due.over", { t: phone.span(-left) })
        : standing === "done"
          ? w("due.done")
          : standing === "paused"
            ? w("due.paused")
            : left !== null
              ? w("due.left", { t: phone.span(Math.max(0, left)) })
              : w("due.none");
    return h("span.standing.standing-" + standing, null, phone.mark(standing), words);
  };
  // The deadline and how it was reckoned, as the county reckoned it.
  phone.deadline = function (card) {
    const words = (card.due_words || []).length ? card.due_words : [];
    return h(
      "section.card",
      null,
      h("div.head", null, h("h2", null, w("due.title")), phone.standing(card.row)),
      card.row.due_at ? h("p.due-at", null, phone.time(card.row.due_at)) : h("p.note", null, w("due.none_long")),
      words.length > 0 &&
        h(
          "ul.reckon",
          null,
          words.map((one) => h("li", null, one)),
        ),
    );
  };
  phone.photosOf = function (card, source) {
    const ready = (card.photos || []).filter((p) => p.state === undefined || p.state === "ready");
    const waiting = (card.photos || []).length - ready.length;
    if (!ready.length && !waiting) return null;
    return h(
      "section.card",
      null,
      h("h2", null, w("photo.title")),
      h(
        "div.photos",
        null,
        ready.map((p) => {
          const words = [w("stage." + p.stage), phone.caption({ taken_at: p.taken_at, azimuth_deg: p.azimuth_deg })].join(w("comma"));
          const image = h("img", { alt: words, loading: "lazy", width: 108, height: 108 });
          source(p.photo_id, "thumb").then((url) => {
            if (url) image.src = url;
          });
          return h(
            "button.photo",
            {
              type: "button",
              onclick: async () => {
                const large = h("img.photo-large", { alt: words });
                const url = await source(p.photo_id, "full");
                if (!url) return phone.say(w("error.away"), { bad: true });
                large.src = url;
                phone.sheet(w("stage." + p.stage), [large, h("p.note", null, words)], { full: true });
              },
            },
            image,
            h("span", null, w("stage." + p.stage)),
          );
        }),
      ),
      waiting > 0 && h("p.note", null, w("photo.waiting", { n: waiting })),
    );
  };
})();
