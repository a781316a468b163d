// The photos of a report: an empty frame that asks for one, or the one that is looked at, with what can be done to it.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;

  // `draft`: { record, photos, saved, filled, save } of the report that is being written. Returns the element, drawn.
  phone.partShot = function (draft) {
    const { record, photos, saved, filled, save } = draft;
    let shown = 0;
    const shot = h("section.shot", { "aria-label": w("photo.title") });
    async function add(file, { fresh }) {
      if (photos.length >= phone.MOST_PHOTOS) return phone.say(w("photo.most", { n: phone.MOST_PHOTOS }), { bad: true });
      shot.classList.add("busy");
      try {
        const photo = await phone.photoFrom(file, {
          key: record.key,
          n: photos.length ? photos[photos.length - 1].n + 1 : 0,
          stage: "before",
          fresh,
        });
        await store.put("photos", photo);
        photos.push(photo);
        shown = photos.length - 1;
        await save();
      } catch (error) {
        phone.say(phone.full(error) ? w("error.full") : w("photo.unreadable"), { bad: true });
      }
      shot.classList.remove("busy");
      drawShot();
    }
    const chooser = (camera, cls, name, words) => {
      const label = phone.chooser({ label: w(camera ? "photo.take" : "photo.album"), camera, onfile: add, className: cls });
      label.append(icon(name, camera && !photos.length ? 32 : 24), h("span", null, words));
      return label;
    };
    function drawShot() {
      const bar = h(
        "header.shot-bar",
        null,
        h("button.bare", { type: "button", onclick: () => phone.go(phone.me.account ? "/m/tasks" : "/m/mine") }, w("cancel")),
        h("h1", null, w("report.title")),
        saved,
      );
      if (!photos.length) {
        shot.className = "shot shot-empty";
        phone.fill(
          shot,
          bar,
          h(
            "div.shot-ask",
            null,
            chooser(true, ".shutter", "camera", w("photo.take")),
            chooser(false, ".album", "photos", w("photo.album")),
          ),
          h("p.shot-note", null, w("photo.none_is_fine")),
        );
        return;
      }
      shot.className = "shot";
      const photo = photos[shown];
      phone.fill(
        shot,
        phone.picture(photo, { alt: w("photo.nth", { n: shown + 1 }) }),
        h("div.shot-shade"),
        bar,
        photos.length > 1 &&
          h(
            "div.shot-strip",
            { role: "group", "aria-label": w("photo.title") },
            photos.map((one, i) =>
              h(
                "button",
                {
                  type: "button",
                  "aria-pressed": String(i === shown),
                  "aria-label": w("photo.nth", { n: i + 1 }),
                  onclick: () => {
                    shown = i;
                    drawShot();
                  },
                },
                phone.picture(one, { small: true }),
              ),
            ),
          ),
        h("p.shot-caption", null, phone.caption(photo)),
        h(
          "div.shot-tools",
          null,
          h(
            "button.tool",
            {
              type: "button",
              onclick: async () => {
                photos.splice(shown, 1);
                await store.drop("photos", [photo.key, photo.n]);
                shown = Math.max(0, shown - 1);
                if (!filled()) {
                  await store.drop("outbox", record.key);
                  saved.replaceChildren();
                } else await save();
                drawShot();
              },
            },
            icon("bin"),
            h("span", null, w("photo.remove")),
          ),
          chooser(false, ".tool", "photos", w("photo.album_short")),
          chooser(true, ".tool", "camera", w("photo.more")),
        ),
      );
    }

    drawShot();
    return shot;
  };
})();
