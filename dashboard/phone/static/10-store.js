// What the phone keeps (IndexedDB): what waits to be sent, its photos, the tasks that were opened. Page and service worker share it.
(function () {
  "use strict";
  const phone = (globalThis.phone = globalThis.phone || {});
  const NAME = "onemap-phone";
  let opened = null;

  function open() {
    opened =
      opened ||
      idb.openDB(NAME, 1, {
        upgrade(db) {
          db.createObjectStore("outbox", { keyPath: "key" }).createIndex("state", "state");
          db.createObjectStore("photos", { keyPath: ["key", "n"] });
          db.createObjectStore("tasks", { keyPath: "case_no" });
          db.createObjectStore("follows", { keyPath: "code" });
          db.createObjectStore("pictures", { keyPath: "id" });
          db.createObjectStore("kept");
        },
        blocking() {
          close();
        },
        terminated() {
          opened = null;
        },
      });
    opened.catch(() => {
      opened = null;
    });
    return opened;
  }
  function close() {
    if (opened)
      opened.then(
        (db) => db.close(),
        () => {},
      );
    opened = null;
  }

  // Who looks at the store hears of changes; the sender may be the service worker.
  const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(NAME) : null;
  const listeners = new Set();
  if (channel) channel.onmessage = () => listeners.forEach((f) => f());

  const store = (phone.store = {
    onchange: (f) => {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    tell() {
      listeners.forEach((f) => f());
      if (channel) channel.postMessage("changed");
    },
    async get(name, key) {
      return (await open()).get(name, key);
    },
    async all(name) {
      return (await open()).getAll(name);
    },
    async put(name, value, key) {
      return (await open()).put(name, value, key);
    },
    async drop(name, key) {
      return (await open()).delete(name, key);
    },
    async clear(name) {
      return (await open()).clear(name);
    },
    photosOf: async (key) => (await open()).getAll("photos", IDBKeyRange.bound([key, -1], [key, Infinity])),

    // Read, change, write in one transaction: page and worker may both hold the record.
    async change(key, change) {
      const tx = (await open()).transaction("outbox", "readwrite");
      const before = await tx.store.get(key);
      const after = before && change(before);
      if (after) await tx.store.put(after);
      await tx.done;
      return after || before;
    },

    // The receipt and the end of the copies are one: either the phone still has everything, or it has the county's word.
    async received(key, change) {
      const tx = (await open()).transaction(["outbox", "photos"], "readwrite");
      const record = change(await tx.objectStore("outbox").get(key));
      await tx.objectStore("outbox").put(record);
      for (
        let cursor = await tx.objectStore("photos").openCursor(IDBKeyRange.bound([key, -1], [key, Infinity]));
        cursor;
        cursor = await cursor.continue()
      ) {
        await cursor.update({ ...cursor.value, bytes: null }); // the small picture stays, for the list
      }
      await tx.done;
      return record;
    },

    async forget(key) {
      const tx = (await open()).transaction(["outbox", "photos"], "readwrite");
      await tx.objectStore("outbox").delete(key);
      await tx.objectStore("photos").delete(IDBKeyRange.bound([key, -1], [key, Infinity]));
      await tx.done;
      store.tell();
    },
  });

  phone.full = (error) => Boolean(error) && (error.name === "QuotaExceededError" || /quota|disk|space/i.test(String(error.message)));
})();
