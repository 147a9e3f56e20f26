// Photos of one place: dropped, chosen, pasted, taken or clicked among the examples. A new one takes
// the place of those before, unless it is added to them.
"use strict";

window.gairPhotos = (() => {
  const { state, ask, tell, say, overtake, showError } = window.gairDesk;
  const MOST = 8;
  const SHOWN_TYPES = /^image\/(jpeg|png|webp|gif|bmp|avif)$/;
  let send = null; // Gradio's upload of one File
  let turn = 0;

  const strip = () => document.getElementById("gair-strip");
  const drop = () => document.getElementById("gair-drop");

  async function take(files, add) {
    const chosen = [...files].slice(0, MOST - (add ? state.photos.length : 0));
    if (!chosen.length) return;
    const mine = (turn += 1);
    if (!add) clear(false);
    drop().classList.add("gair-sending");
    tell("sending", chosen.length);
    try {
      const photos = [];
      for (const file of chosen) photos.push(await sent(file));
      if (mine === turn) show(add ? [...state.photos, ...photos] : photos);
    } catch (error) {
      if (mine === turn) refuse(error);
    } finally {
      if (mine === turn) drop().classList.remove("gair-sending");
    }
  }

  async function sent(file) {
    const { path } = await send(file);
    return { path, name: file.name, url: URL.createObjectURL(file), file, example: null };
  }

  function refuse(error) {
    const text = String((error && error.message) || error || "the photo could not be sent");
    tell("refused", text);
    showError(document.getElementById("gair-found"), "This photo was not sent", text);
  }

  async function example(number) {
    const mine = (turn += 1);
    clear(false);
    tell("sending", 1);
    const reply = await ask("example", { do: "example", number });
    if (!reply || mine !== turn) return;
    if (reply.error) refuse(reply.error);
    else show([{ path: reply.path, name: reply.name, url: reply.preview, file: null, example: number }]);
  }

  // The paths of photos that the server has let go, after they were sent once more; null if one
  // cannot be. Whatever else asks about the same photos has the new paths from then on.
  async function sentAgain(paths) {
    try {
      return await Promise.all(paths.map(async (path) => {
        const photo = state.photos.find((one) => one.path === path);
        if (!photo) throw new Error("unknown");
        if (photo.file) {
          photo.path = (await send(photo.file)).path;
        } else {
          const reply = await ask(`again-${path}`, { do: "example", number: photo.example });
          if (!reply || reply.error) throw new Error("gone");
          photo.path = reply.path;
        }
        return photo.path;
      }));
    } catch {
      return null;
    }
  }

  function clear(telling = true) {
    const paths = state.photos.map((photo) => photo.path);
    state.photos.forEach((photo) => photo.file && URL.revokeObjectURL(photo.url));
    if (telling) turn += 1;
    if (telling && paths.length) ask("forget", { do: "forget", photos: paths });
    show([], telling);
  }

  function remove(photo) {
    ask("forget", { do: "forget", photos: [photo.path] });
    if (photo.file) URL.revokeObjectURL(photo.url);
    turn += 1;
    show(state.photos.filter((one) => one !== photo));
  }

  function show(photos, telling = true) {
    state.photos = photos;
    overtake("facts");
    document.getElementById("gair-photo-facts").replaceChildren();
    strip().dataset.count = String(photos.length);
    strip().replaceChildren(...photos.map(itemOf));
    drop().classList.toggle("gair-small", photos.length > 0);
    drop().querySelector("label b").textContent = photos.length ? "Another photo" : "Drop a street photo";
    document.querySelector("[data-gair-add]").hidden = !photos.length || photos.length >= MOST;
    if (telling) {
      tell("photos");
      if (photos.length) say(`${photos.length === 1 ? photos[0].name : `${photos.length} photos`} added`);
    }
  }

  function itemOf(photo, number) {
    const item = document.createElement("li");
    const picture = document.createElement("img");
    picture.alt = `Photo ${number + 1}: ${photo.name}`;
    picture.src = photo.url;
    if (photo.file && !SHOWN_TYPES.test(photo.file.type)) preview(photo, picture);
    const name = document.createElement("span");
    name.textContent = photo.name;
    name.title = photo.name;
    const gone = document.createElement("button");
    gone.type = "button";
    gone.setAttribute("aria-label", `Remove ${photo.name}`);
    gone.textContent = "×";
    gone.addEventListener("click", () => remove(photo));
    item.append(picture, name, gone);
    return item;
  }

  // Browsers do not show every kind of photo that is read here.
  async function preview(photo, picture) {
    const reply = await ask(`preview-${photo.path}`, { do: "preview", photos: [photo.path] });
    if (!reply || reply.error) return;
    photo.url = reply.preview;
    picture.src = reply.preview;
  }

  async function paste() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((one) => one.startsWith("image/"));
        if (type) {
          take([new File([await item.getType(type)], `pasted.${type.slice(6)}`, { type })], false);
          return;
        }
      }
      say("There is no picture on the clipboard");
      flash("[data-gair-paste]", "No picture there");
    } catch {
      flash("[data-gair-paste]", "Press Ctrl+V"); // not every browser lets a page read it
    }
  }

  function flash(selector, text) {
    const button = document.querySelector(selector);
    const before = button.dataset.words || button.textContent;
    button.dataset.words = before;
    button.textContent = text;
    setTimeout(() => { button.textContent = before; }, 1800);
  }

  async function camera() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      flash("[data-gair-camera]", "No camera");
      return;
    }
    const dialog = document.createElement("dialog");
    dialog.className = "gair-camera";
    dialog.setAttribute("aria-label", "Take a photo");
    dialog.innerHTML = "<video autoplay playsinline muted></video><p class='gair-links'>"
      + "<button type='button' class='gair-go' data-take>Take the photo</button>"
      + "<button type='button' data-close>Close</button></p>";
    const video = dialog.querySelector("video");
    video.srcObject = stream;
    dialog.addEventListener("close", () => {
      stream.getTracks().forEach((track) => track.stop());
      dialog.remove();
    });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.querySelector("[data-take]").addEventListener("click", () => {
      const canvas = document.createElement("canvas");
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => {
        dialog.close();
        if (blob) take([new File([blob], "camera.jpg", { type: "image/jpeg" })], false);
      }, "image/jpeg", 0.92);
    });
    document.querySelector(".gair-app").append(dialog);
    dialog.showModal();
  }

  function mount(upload) {
    send = upload;
    const add = document.createElement("button");
    add.type = "button";
    add.dataset.gairAdd = "";
    add.hidden = true;
    add.textContent = "Add to this place";
    drop().querySelector(".gair-links").prepend(add);
    const input = document.getElementById("gair-file");
    const further = document.getElementById("gair-file-add");
    [input, further].forEach((box) => box.addEventListener("change", () => {
      take(box.files, box === further && state.photos.length > 0);
      box.value = "";
    }));
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-gair-example]");
      if (button) example(Number(button.dataset.gairExample));
      else if (event.target.closest("[data-gair-add]")) further.click();
      else if (event.target.closest("[data-gair-camera]")) camera();
      else if (event.target.closest("[data-gair-paste]")) paste();
    });
    const app = document.querySelector(".gair-app");
    ["dragover", "dragleave", "drop"].forEach((kind) => app.addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      drop().classList.toggle("gair-over", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files, false);
    }));
    document.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
      if (files.length) {
        event.preventDefault();
        take(files, false);
      }
    });
  }

  return { mount, sentAgain, clear };
})();
