// What a report is about: guessed from its words, never taken for granted; or picked from all items.
(function () {
  "use strict";
  const { h, w, icon } = phone;

  // Returns { element, guess() }: guess asks the county anew when the words have changed.
  phone.partWhat = function (draft) {
    const { record, saveSoon } = draft;
    let guesses = null,
      guessed = "";
    const what = h("div.what", { role: "radiogroup", "aria-label": w("item.title") });
    const why = h("span.aside.what-why");
    const due = h("p.note");
    const common = [...phone.config.items].sort((a, b) => Number(b.weight) - Number(a.weight)).slice(0, 3);
    async function guess() {
      const asked = record.text.trim();
      if (asked === guessed) return;
      guessed = asked;
      guesses = null;
      if (asked.length >= 2 && navigator.onLine !== false) {
        try {
          const said = await phone.ask(`/api/suggest?text=${encodeURIComponent(asked.slice(0, 200))}`, { patience: 4000 });
          if (guessed === asked) guesses = (said.suggestions || []).filter((g) => phone.item(g.item_code) && g.confidence >= 0.05).slice(0, 3);
        } catch (error) {
          guesses = null;
        }
      }
      drawWhat();
    }
    const sure = (c) => w(c >= 0.7 ? "item.very_like" : c >= 0.3 ? "item.like" : "item.perhaps");
    function pick(code) {
      record.item_code = record.item_code === code ? null : code;
      drawWhat();
      saveSoon();
    }
    function drawWhat() {
      const listed =
        guesses && guesses.length
          ? guesses.map((g) => ({ ...phone.item(g.item_code), confidence: g.confidence, because: g.because }))
          : common.map((one) => ({ ...one }));
      if (record.item_code && !listed.some((one) => one.code === record.item_code))
        listed.splice(0, listed.length > 2 ? listed.length - 2 : 0, phone.item(record.item_code));
      const chips = listed
        .slice(0, 3)
        .map((one) =>
          h(
            "button.pick",
            { type: "button", role: "radio", "aria-checked": String(one.code === record.item_code), onclick: () => pick(one.code) },
            one.code === record.item_code && icon("check", 20),
            h("b", null, one.name),
            one.confidence !== undefined && h("span", null, sure(one.confidence)),
          ),
        );
      phone.fill(
        what,
        ...chips,
        h(
          "button.pick",
          {
            type: "button",
            onclick: () =>
              items(record.item_code, (code) => {
                record.item_code = code;
                drawWhat();
                saveSoon();
              }),
          },
          h("b", null, w("item.others", { n: phone.config.items.length - chips.length })),
          icon("right", 20),
        ),
      );
      // The words of the text that spoke for the first guess, as the county names them.
      const words = guesses && guesses.length ? String(guesses[0].because || "").split("、").filter(Boolean).slice(0, 3) : [];
      why.textContent =
        guesses && guesses.length
          ? words.length
            ? w("item.guessed_from", { words: words.map((x) => `“${x}”`).join("") })
            : w("item.guessed")
          : w("item.common");
      const chosen = record.item_code && phone.item(record.item_code);
      const odds =
        guesses && guesses.length
          ? w("item.odds", {
              list: guesses
                .slice(0, 2)
                .map((g) => `${phone.item(g.item_code).name} ${Math.min(99, Math.round(g.confidence * 100))}%`)
                .join(w("comma")),
            })
          : "";
      due.textContent = chosen
        ? w("item.due", { category: chosen.category, within: phone.within(chosen) })
        : odds || w("item.none_is_fine");
    }

    drawWhat();
    return { element: h("section", null, h("div.head", null, h("h2", null, w("item.title")), why), what, due), guess };
  };

  // All items, by category.
  function items(chosen, onpick) {
    const categories = [...new Set(phone.config.items.map((one) => one.category))];
    let dialog = null;
    const body = categories.map((category) =>
      h(
        "section.items",
        null,
        h("h3", null, category),
        phone.config.items
          .filter((one) => one.category === category)
          .map((one) =>
            h(
              "button.line",
              {
                type: "button",
                "aria-pressed": String(one.code === chosen),
                onclick: () => {
                  onpick(one.code);
                  dialog.close();
                },
              },
              h("b", null, one.name),
              h("span", null, phone.within(one)),
            ),
          ),
      ),
    );
    dialog = phone.sheet(w("item.title"), body, {
      foot: chosen
        ? h(
            "button.plain",
            {
              type: "button",
              onclick: () => {
                onpick(null);
                dialog.close();
              },
            },
            w("item.clear"),
          )
        : null,
    });
  }
  phone.pickItem = items;
})();
