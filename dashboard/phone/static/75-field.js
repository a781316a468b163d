// One field of a form, drawn from its definition: any process can ask for any of these.
(function () {
  "use strict";
  const { h, w, icon } = phone;
  const english = phone.config.language === "en";
  phone.nameOf = (one) => (english && one.name_en) || one.name;

  // One answer of the form. Returns { element, read() → value or undefined, fault() → words or null }.
  function field(one) {
    const id = `field-${one.id}`;
    const name = phone.nameOf(one);
    const label = [name, one.unit ? w("form.unit", { unit: one.unit }) : "", one.required ? "" : w("form.optional")].join("");
    const wrap = (control, extra = null) =>
      h("div.field", null, h("label", { for: id }, label), control, extra, one.hint && h("p.note", null, one.hint));
    const group = (control) => h("fieldset.field", null, h("legend", null, label), control, one.hint && h("p.note", null, one.hint));
    const missing = (value) =>
      one.required && (value === undefined || value === null || value === "") ? w("form.missing", { name }) : null;
    const plain = (props) => {
      const input = h("input.input", { id, ...props });
      return {
        element: wrap(input),
        read: () => input.value.trim() || undefined,
        fault: () => missing(input.value.trim()),
        focus: () => input.focus(),
      };
    };
    const choices = (list, few = 6) => {
      if (list.length > few) {
        const select = h(
          "select.input",
          { id },
          h("option", { value: "" }, w("form.choose")),
          list.map(([value, words]) => h("option", { value }, words)),
        );
        return {
          element: wrap(select),
          read: () => select.value || undefined,
          fault: () => missing(select.value),
          focus: () => select.focus(),
        };
      }
      let value;
      const buttons = list.map(([key, words]) =>
        h(
          "button.pick",
          {
            type: "button",
            role: "radio",
            "aria-checked": "false",
            onclick: () => {
              value = value === key && !one.required ? undefined : key;
              buttons.forEach((b, i) => b.setAttribute("aria-checked", String(list[i][0] === value)));
            },
          },
          h("b", null, words),
        ),
      );
      return {
        element: group(h("div.picks", { role: "radiogroup", "aria-label": name }, buttons)),
        read: () => value,
        fault: () => missing(value),
        focus: () => buttons[0] && buttons[0].focus(),
      };
    };
    const listed = () =>
      one.choices ? one.choices.map((c) => [c.value ?? c.id ?? c.code, c.name ?? c.label]) : Object.entries(one.options || {});

    switch (one.kind) {
      case "longtext": {
        const area = h("textarea.input", { id, rows: 3, maxlength: one.max_length || 2000 });
        return {
          element: wrap(area),
          read: () => area.value.trim() || undefined,
          fault: () => missing(area.value.trim()),
          focus: () => area.focus(),
        };
      }
      case "number":
      case "money": {
        const input = h("input.input", { id, inputmode: "decimal", autocomplete: "off" });
        const number = () => (input.value.trim() === "" ? undefined : Number(input.value.trim().replace(/,/g, "")));
        return {
          element: wrap(input),
          read: number,
          focus: () => input.focus(),
          fault: () => {
            const n = number();
            if (n === undefined) return missing(undefined);
            if (!Number.isFinite(n)) return w("form.number", { name });
            if (one.min !== null && one.min !== undefined && n < one.min) return w("form.least", { name, n: one.min });
            if (one.max !== null && one.max !== undefined && n > one.max) return w("form.most", { name, n: one.max });
            return null;
          },
        };
      }
      case "bool":
        return (() => {
          const c = choices([
            ["yes", w("form.yes")],
            ["no", w("form.no")],
          ]);
          return { ...c, read: () => (c.read() === undefined ? undefined : c.read() === "yes") };
        })();
      case "date":
        return plain({ type: "date" });
      case "datetime":
        return (() => {
          const p = plain({ type: "datetime-local" });
          return { ...p, read: () => (p.read() ? `${p.read()}:00+08:00` : undefined) };
        })();
      case "choice":
      case "unit":
      case "person":
      case "deadline_class":
        return listed().length ? choices(listed()) : plain({ maxlength: 80 });
      case "item": {
        let value;
        const button = h("button.line.line-box", {
          type: "button",
          id,
          onclick: () =>
            phone.pickItem(value, (code) => {
              value = code || undefined;
              draw();
            }),
        });
        const draw = () => phone.fill(button, h("b", null, value ? phone.item(value).name : w("form.choose")), icon("right", 20));
        draw();
        return { element: wrap(button), read: () => value, fault: () => missing(value), focus: () => button.focus() };
      }
      case "rating": {
        let value;
        const stars = [1, 2, 3, 4, 5].map((n) =>
          h(
            "button.star",
            {
              type: "button",
              role: "radio",
              "aria-checked": "false",
              "aria-label": w("rating." + n),
              onclick: () => {
                value = n;
                stars.forEach((s, i) => {
                  s.setAttribute("aria-checked", String(i + 1 === n));
                  s.classList.toggle("on", i < n);
                });
                said.textContent = w("rating." + n);
              },
            },
            icon("star", 36),
          ),
        );
        const said = h("span.rating-said", { role: "status" });
        return {
          element: group([h("div.stars", { role: "radiogroup", "aria-label": name }, stars), said]),
          read: () => value,
          fault: () => missing(value),
          focus: () => stars[0].focus(),
        };
      }
      case "point": {
        const out = h("p.note", null);
        let fix = null;
        const say = () => {
          fix = phone.place.fix();
          out.textContent = fix ? w("place.accuracy", { d: phone.metres(fix.accuracy_m) }) : w("place.wait");
        };
        const stop = phone.place.onchange(say);
        phone.place.start();
        say();
        return {
          element: group(out),
          read: () => (fix ? { lon: fix.lonlat[0], lat: fix.lonlat[1], crs: "EPSG:4326", accuracy_m: fix.accuracy_m } : undefined),
          fault: () => (one.required && !fix ? w("form.missing", { name }) : null),
          focus() {},
          stop,
        };
      }
      case "extent":
        return {
          element: h("p.note", null, w("form.extent", { name })),
          read: () => undefined,
          fault: () => (one.required ? w("form.extent", { name }) : null),
          focus() {},
        };
      default:
        return plain({ maxlength: one.max_length || 200, ...(one.mask === "phone" ? { inputmode: "tel" } : {}), autocomplete: "off" });
    }
  }

  phone.field = field;
})();
