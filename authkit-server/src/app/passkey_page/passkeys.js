"use strict";

// The page of passkeys. The tokens live in this closure and nowhere else; they are gone with the page.
(() => {
  const api = "/api/v1";
  const words = document.body.dataset;
  const at = (id) => document.getElementById(id);
  let tokens = null;
  let waiting = null;

  const toBytes = (text) => {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (char) => char.charCodeAt(0));
  };
  const toText = (bytes) => {
    const plain = String.fromCharCode(...new Uint8Array(bytes));
    return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };

  // What the API says and what `navigator.credentials` takes differ in how bytes are written. Not every browser has the methods of
  // Level 3 that bridge it, so it is done here.
  const named = (list) => (list ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));
  const forCreation = (options) => ({
    ...options,
    challenge: toBytes(options.challenge),
    user: { ...options.user, id: toBytes(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
  });
  const forRequest = (options) => ({
    ...options,
    challenge: toBytes(options.challenge),
    allowCredentials: named(options.allowCredentials),
  });
  const toJson = (credential) => {
    const { response } = credential;
    const written = { clientDataJSON: toText(response.clientDataJSON) };
    if (response.attestationObject) {
      written.attestationObject = toText(response.attestationObject);
      written.transports = response.getTransports?.() ?? [];
    } else {
      written.authenticatorData = toText(response.authenticatorData);
      written.signature = toText(response.signature);
      written.userHandle = response.userHandle ? toText(response.userHandle) : null;
    }
    return {
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      response: written,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  };

  class Refusal extends Error {
    constructor(problem) {
      super(problem.detail || problem.title || "");
      this.problem = problem;
    }
  }

  const call = async (method, path, body) => {
    const headers = {};
    if (tokens) headers.authorization = `Bearer ${tokens.access_token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const reply = await fetch(api + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await reply.text();
    const json = text ? JSON.parse(text) : {};
    if (!reply.ok) throw new Refusal(json);
    return json;
  };

  const note = (text, bad) => {
    const line = at("note");
    line.textContent = text;
    line.className = bad ? "bad" : "";
    line.hidden = !text;
  };

  const explain = (error) => {
    if (error instanceof Refusal) return error.message;
    if (error.name === "InvalidStateError") return words.exists;
    if (error.name === "NotAllowedError") return words.cancelled;
    return error.message;
  };

  // One thing at a time, and whatever goes wrong is said.
  const busy = async (button, task) => {
    button.disabled = true;
    note("");
    try {
      await task();
    } catch (error) {
      if (error.name !== "AbortError") note(explain(error), true);
    } finally {
      button.disabled = false;
    }
  };

  const ask = async (options, extra) => {
    waiting?.abort();
    waiting = new AbortController();
    const credential = await navigator.credentials.get({ publicKey: forRequest(options), signal: waiting.signal, ...extra });
    return toJson(credential);
  };

  const logInByPasskey = async (extra) => {
    const { public_key: options } = await call("POST", "/auth/passkey/login/start");
    const credential = await ask(options, extra);
    tokens = await call("POST", "/auth/passkey/login/finish", { credential });
    await enter(words.welcome);
  };

  const logInByPassword = async () => {
    const body = { email: at("email").value, password: at("password").value };
    try {
      tokens = await call("POST", "/auth/login", body);
    } catch (error) {
      const problem = error.problem ?? {};
      if (problem.code !== "auth.mfa_required") throw error;
      if (!problem.factors.includes("passkey")) throw new Error(words.codeNeeded);
      const { mfa_token } = problem;
      const { public_key: options } = await call("POST", "/auth/mfa/passkey/start", { mfa_token });
      const credential = await ask(options);
      tokens = await call("POST", "/auth/mfa/passkey/finish", { mfa_token, credential });
    }
    at("password").value = "";
    await enter(words.welcome);
  };

  // What changes a factor wants a fresh proof: the passkey gives it, and the call is tried once more.
  const withFreshProof = async (task) => {
    try {
      return await task();
    } catch (error) {
      if (error.problem?.code !== "auth.reauthentication_required") throw error;
      const { public_key: options } = await call("POST", "/auth/reauthenticate/passkey/start");
      const credential = await ask(options);
      const fresh = await call("POST", "/auth/reauthenticate/passkey/finish", { credential });
      tokens = { ...tokens, access_token: fresh.access_token };
      return task();
    }
  };

  const add = () =>
    withFreshProof(async () => {
      const { public_key: options } = await call("POST", "/users/me/passkeys/register/start");
      waiting?.abort();
      const credential = toJson(await navigator.credentials.create({ publicKey: forCreation(options) }));
      const name = at("name").value.trim() || undefined;
      const added = await call("POST", "/users/me/passkeys/register/finish", { credential, name });
      at("name").value = "";
      at("codes").hidden = added.recovery_codes.length === 0;
      at("code-list").replaceChildren(
        ...added.recovery_codes.map((code) => Object.assign(document.createElement("li"), { textContent: code })),
      );
      await enter(words.added);
    });

  const remove = (passkey) =>
    withFreshProof(async () => {
      await call("DELETE", `/users/me/passkeys/${encodeURIComponent(passkey.id)}`);
      // The browser can forget it as well, where it knows how.
      await enter(words.removed);
    });

  const rename = async (passkey) => {
    const name = window.prompt(words.rename, passkey.name);
    if (name === null || !name.trim()) return;
    await call("PATCH", `/users/me/passkeys/${encodeURIComponent(passkey.id)}`, { name });
    await enter("");
  };

  const button = (text, task) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    made.addEventListener("click", () => busy(made, task));
    return made;
  };

  const row = (passkey) => {
    const line = Object.assign(document.createElement("li"), { className: "passkey" });
    const name = Object.assign(document.createElement("b"), { textContent: passkey.name });
    const date = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    const used = passkey.last_used_at ? `${words.used} ${date.format(new Date(passkey.last_used_at))}` : words.neverUsed;
    const about = Object.assign(document.createElement("small"), {
      textContent: passkey.backed_up ? `${used} · ${words.synced}` : used,
    });
    const buttons = document.createElement("div");
    buttons.append(button(words.rename, () => rename(passkey)), button(words.remove, () => remove(passkey)));
    line.append(name, about, buttons);
    return line;
  };

  const enter = async (text) => {
    const { items } = await call("GET", "/users/me/passkeys");
    at("list").replaceChildren(...items.map(row));
    at("none").hidden = items.length > 0;
    at("outside").hidden = true;
    at("inside").hidden = false;
    note(text);
  };

  const leave = async () => {
    await call("POST", "/auth/logout", { refresh_token: tokens.refresh_token });
    tokens = null;
    at("codes").hidden = true;
    at("inside").hidden = true;
    at("outside").hidden = false;
    offer();
  };

  // Passkeys in the field for the address, as the browser offers them there. Whoever does not choose one is not disturbed.
  const offer = async () => {
    try {
      if (await PublicKeyCredential.isConditionalMediationAvailable?.()) await logInByPasskey({ mediation: "conditional" });
    } catch (error) {
      if (error.name !== "AbortError" && error.name !== "NotAllowedError") note(explain(error), true);
    }
  };

  at("log-in").addEventListener("click", () => busy(at("log-in"), () => logInByPasskey()));
  at("log-out").addEventListener("click", () => busy(at("log-out"), leave));
  const onSubmit = (form, task) =>
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      busy(form.querySelector("button"), task);
    });
  onSubmit(at("password-form"), logInByPassword);
  onSubmit(at("add-form"), add);

  if (window.PublicKeyCredential) {
    offer();
  } else {
    at("log-in").disabled = true;
    note(words.unsupported, true);
  }
})();
