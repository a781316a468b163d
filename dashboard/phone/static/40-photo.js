// Photos: made small on the phone (1,600 px, JPEG), with time, place and bearing kept beside them, not inside.
(function () {
  "use strict";
  const { h, w, store } = phone;
  const LONGEST = 1600,
    SMALL = 240,
    QUALITY = 0.82;
  phone.MOST_PHOTOS = 9;

  // What the camera wrote into the file (EXIF): when, where, which way. Only photos from the album are asked for their place:
  // for a fresh one the phone's own position is better.
  function exif(buffer) {
    const view = new DataView(buffer);
    const found = {};
    try {
      if (view.getUint16(0) !== 0xffd8) return found;
      for (let at = 2; at < view.byteLength - 4;) {
        const marker = view.getUint16(at),
          size = view.getUint16(at + 2);
        if (marker === 0xffe1 && view.getUint32(at + 4) === 0x45786966) return read(new DataView(buffer, at + 10, size - 8));
        if ((marker & 0xff00) !== 0xff00 || marker === 0xffda) break;
        at += 2 + size;
      }
    } catch (error) {
      /* a broken header tells nothing */
    }
    return found;

    function read(tiff) {
      const little = tiff.getUint16(0) === 0x4949;
      const u16 = (p) => tiff.getUint16(p, little),
        u32 = (p) => tiff.getUint32(p, little);
      const tags = (p) => Object.fromEntries(Array.from({ length: u16(p) }, (_, i) => p + 2 + 12 * i).map((e) => [u16(e), e]));
      const text = (e) => {
        const n = u32(e + 4),
          p = n > 4 ? u32(e + 8) : e + 8;
        return String.fromCharCode(...Array.from({ length: Math.min(n, 32) }, (_, i) => tiff.getUint8(p + i))).replace(/\0.*$/, "");
      };
      const ratios = (e) => {
        const p = u32(e + 8);
        return Array.from({ length: u32(e + 4) }, (_, i) => u32(p + 8 * i) / (u32(p + 8 * i + 4) || 1));
      };
      const first = tags(u32(4));
      const detail = first[0x8769] ? tags(u32(first[0x8769] + 8)) : {};
      const place = first[0x8825] ? tags(u32(first[0x8825] + 8)) : {};
      const when = detail[0x9003] && text(detail[0x9003]).match(/^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)$/);
      if (when) {
        const zone = detail[0x9011] ? text(detail[0x9011]) : "+08:00"; // the county's time where the file names no zone
        const at = new Date(`${when[1]}-${when[2]}-${when[3]}T${when[4]}${/^[+-]\d\d:\d\d$/.test(zone) ? zone : "+08:00"}`);
        if (!Number.isNaN(at.getTime())) found.taken_at = at.toISOString();
      }
      if (place[2] && place[4]) {
        const degrees = ([d, m = 0, s = 0], side) => (d + m / 60 + s / 3600) * (side === "S" || side === "W" ? -1 : 1);
        const lat = degrees(ratios(place[2]), place[1] && text(place[1])),
          lon = degrees(ratios(place[4]), place[3] && text(place[3]));
        if (Number.isFinite(lon) && Number.isFinite(lat) && (lon || lat)) found.lonlat = [lon, lat];
      }
      if (place[0x11]) {
        const [deg] = ratios(place[0x11]);
        if (Number.isFinite(deg)) found.azimuth_deg = ((deg % 360) + 360) % 360;
      }
      return found;
    }
  }

  async function decoded(file) {
    if (window.createImageBitmap) {
      try {
        return await createImageBitmap(file, { imageOrientation: "from-image" });
      } catch (error) {
        /* older browsers, other formats */
      }
    }
    const url = URL.createObjectURL(file);
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      return image;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  async function drawn(image, longest, quality) {
    const width = image.width || image.naturalWidth,
      height = image.height || image.naturalHeight;
    const share = Math.min(1, longest / Math.max(width, height));
    const canvas = h("canvas", { width: Math.max(1, Math.round(width * share)), height: Math.max(1, Math.round(height * share)) });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#FFFFFF";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
    if (!blob) throw new Error("not drawn");
    return { bytes: await blob.arrayBuffer(), width: canvas.width, height: canvas.height };
  }

  // One chosen file → a record of the store. `fresh`: from the camera just now.
  phone.photoFrom = async function (file, { key, n, stage, fresh }) {
    const head = await file.slice(0, 262144).arrayBuffer();
    const told = exif(head);
    const image = await decoded(file);
    const large = await drawn(image, LONGEST, QUALITY);
    const small = await drawn(image, SMALL, 0.75);
    if (image.close) image.close();
    const fix = fresh ? phone.place.recent(90000) : null;
    return {
      key,
      n,
      stage,
      type: "image/jpeg",
      bytes: large.bytes,
      small: small.bytes,
      width: large.width,
      height: large.height,
      taken_at: told.taken_at || (fresh ? new Date().toISOString() : null),
      azimuth_deg: told.azimuth_deg ?? (fresh ? phone.place.heading() : null),
      lonlat: fix ? fix.lonlat : fresh ? null : told.lonlat || null,
      accuracy_m: fix ? fix.accuracy_m : null,
      source_crs: fix || told.lonlat ? "EPSG:4326" : null,
    };
  };

  const urls = new WeakMap();
  // A picture of a stored photo; its address lives as long as the record.
  phone.picture = function (photo, { small = false, alt = "" } = {}) {
    const bytes = small ? photo.small : photo.bytes || photo.small;
    if (!bytes) return h("span.nophoto", { role: "img", "aria-label": alt }, phone.icon("photos", 20));
    if (!urls.has(bytes)) urls.set(bytes, URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })));
    return h("img", { src: urls.get(bytes), alt, decoding: "async" });
  };
  phone.caption = function (photo) {
    const parts = [photo.taken_at ? phone.time(photo.taken_at) : w("photo.no_time")];
    if (photo.azimuth_deg !== null && photo.azimuth_deg !== undefined)
      parts.push(w("photo.towards", { side: phone.bearing(photo.azimuth_deg), deg: Math.round(photo.azimuth_deg) }));
    return parts.join(w("comma"));
  };

  // The two ways to a photo: camera and album. Files are handed over one by one as they are ready.
  phone.chooser = function ({ label, camera, many = true, onfile, className = "" }) {
    const input = h("input.sr", {
      type: "file",
      accept: "image/*",
      ...(camera ? { capture: "environment" } : many ? { multiple: true } : {}),
      "aria-label": label,
      onchange: async () => {
        const files = [...input.files];
        input.value = "";
        for (const file of files) await onfile(file, { fresh: camera });
      },
    });
    return h("label.choose" + className, { onclick: () => phone.place.listen() }, input);
  };

  // A row of small pictures with a button to add, for steps and answers: `taken` is filled and handed to onchange.
  phone.photoRow = function ({ key, stage, atLeast = 0, onchange }) {
    const taken = [];
    const row = h("div.photo-row");
    const note = h("p.note");
    async function add(file, { fresh }) {
      if (taken.length >= phone.MOST_PHOTOS) return phone.say(w("photo.most", { n: phone.MOST_PHOTOS }), { bad: true });
      row.classList.add("busy");
      try {
        const photo = await phone.photoFrom(file, { key, n: (Date.now() % 1e9) + taken.length, stage, fresh });
        await store.put("photos", photo);
        taken.push(photo);
        onchange(taken);
      } catch (error) {
        phone.say(phone.full(error) ? w("error.full") : w("photo.unreadable"), { bad: true });
      }
      row.classList.remove("busy");
      draw();
    }
    function draw() {
      const camera = phone.chooser({ label: w("photo.take"), camera: true, onfile: add, className: ".tile" });
      camera.append(phone.icon("camera"), h("span", null, w("photo.take")));
      const album = phone.chooser({ label: w("photo.album"), camera: false, onfile: add, className: ".tile" });
      album.append(phone.icon("photos"), h("span", null, w("photo.album")));
      phone.fill(
        row,
        ...taken.map((photo, i) =>
          h(
            "figure.tile",
            null,
            phone.picture(photo, { small: true, alt: w("photo.nth", { n: i + 1 }) }),
            h(
              "button.tile-drop",
              {
                type: "button",
                "aria-label": w("photo.drop", { n: i + 1 }),
                onclick: async () => {
                  taken.splice(i, 1);
                  await store.drop("photos", [photo.key, photo.n]);
                  onchange(taken);
                  draw();
                },
              },
              phone.icon("close", 18),
            ),
          ),
        ),
        camera,
        album,
      );
      const last = taken[taken.length - 1];
      note.textContent = last
        ? [phone.caption(last), last.accuracy_m ? w("place.accuracy", { d: phone.metres(last.accuracy_m) }) : ""]
            .filter(Boolean)
            .join(w("comma"))
        : atLeast
          ? w("photo.needed", { n: atLeast, stage: w("stage." + stage) })
          : w("photo.optional");
    }
    draw();
    return h("div", null, row, note);
  };
})();
