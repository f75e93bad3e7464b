// Asks the balancer for /status once a second while somebody looks, and says when it does not
// answer. One request at a time; a hidden or paused page asks nothing.

const ASK_EVERY_MS = 1000;
const ASK_AGAIN_MS = 250;  // a first failure may be the moment of a reload
const PATIENCE_MS = 2500;

// The answer to a GET as an object; throws for every way in which there is none.
async function getJson(path) {
  const response =
      await fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS)});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

class Feed {
  #onAnswer;
  #onFailure;
  #timer = 0;
  #isAsking = false;
  #isPaused = false;
  #failures = 0;

  // onAnswer({status, at, time}): `at` on a clock that never jumps, `time` of the day.
  // onFailure(): it has not answered twice.
  constructor(onAnswer, onFailure) {
    this.#onAnswer = onAnswer;
    this.#onFailure = onFailure;
    document.addEventListener('visibilitychange', () => this.#resume());
  }

  start() { this.#resume(); }

  set isPaused(value) {
    this.#isPaused = value;
    this.#resume();
  }

  get #isWanted() { return !this.#isPaused && document.visibilityState === 'visible'; }

  #resume() {
    clearTimeout(this.#timer);
    if (this.#isWanted && !this.#isAsking) this.#ask();
  }

  async #ask() {
    this.#isAsking = true;
    const began = performance.now();
    let answer = null;
    try {
      const status = await getJson('status?histograms');
      answer = {status, at: performance.now(), time: Date.now()};
    } catch {
      // Refused, silent, cut or nonsense: for who reads the page it is all the same.
    }
    this.#isAsking = false;
    if (this.#isPaused) return;  // asked before the pause: what is paused stays as it is
    this.#failures = answer ? 0 : this.#failures + 1;
    this.#schedule(this.#failures === 1 ? ASK_AGAIN_MS : ASK_EVERY_MS, began);
    if (answer) this.#onAnswer(answer);
    else if (this.#failures > 1) this.#onFailure();
  }

  #schedule(interval, began) {
    if (!this.#isWanted) return;
    const wait = Math.max(50, interval - (performance.now() - began));
    this.#timer = setTimeout(() => this.#ask(), wait);
  }
}
