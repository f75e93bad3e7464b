// What can be made of two answers of /status: rates, latencies, errors. Counters never fall while
// the balancer runs; where one has, it is another run, and nothing is known of the time between.

const HISTORY_MS = 300000;
const LATENCY_WINDOW_MS = 10000;  // short enough to follow, long enough for a p99
const RATE_WINDOW_MS = 5000;      // of a single backend
const GAP_MS = 5000;              // nobody looked meanwhile: a line across it would be a guess
const KEPT_ANSWERS = 16;          // enough for the windows

const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);
const sumOf = (object) => sum(Object.values(object));

// What was counted between two answers, of the backends that are in both.
function difference(older, newer) {
  const before = new Map(older.status.backends.map((backend) => [backend.name, backend]));
  const total = {requests: 0, serverErrors: 0, retries: 0, buckets: []};
  for (const backend of newer.status.backends) {
    const was = before.get(backend.name);
    if (was) addDifference(total, backendDifference(was, backend));
  }
  const rise = (count) => Math.max(0, count(newer.status) - count(older.status));
  return {
    ...total,
    seconds: (newer.at - older.at) / 1000,
    limited: rise((status) => status.rate_limit.dropped),
    rejected: rise((status) => sumOf(status.rejected)),
  };
}

function backendDifference(was, is) {
  const minus = (now, then) => Math.max(0, now - (then ?? 0));
  return {
    requests: minus(is.requests, was.requests),
    serverErrors: minus(is.responses['5xx'], was.responses['5xx']),
    retries: minus(sumOf(is.retries), sumOf(was.retries)),
    buckets: is.request_duration_buckets.map(
        (n, i) => minus(n, was.request_duration_buckets[i])),
  };
}

function addDifference(total, part) {
  total.requests += part.requests;
  total.serverErrors += part.serverErrors;
  total.retries += part.retries;
  part.buckets.forEach((n, i) => { total.buckets[i] = (total.buckets[i] ?? 0) + n; });
}

// The q-quantile in milliseconds, straight within a bucket as histogram_quantile() of Prometheus has
// it; null where there is nothing to count.
function quantile(q, buckets, boundsUs) {
  const total = sum(buckets);
  if (total === 0) return null;
  let below = 0;
  for (let i = 0; i < buckets.length; ++i) {
    if (below + buckets[i] >= q * total && buckets[i] > 0) {
      if (i >= boundsUs.length) break;
      const low = i === 0 ? 0 : boundsUs[i - 1];
      return (low + (boundsUs[i] - low) * (q * total - below) / buckets[i]) / 1000;
    }
    below += buckets[i];
  }
  return boundsUs[boundsUs.length - 1] / 1000;
}

// The last minutes, one point an answer.
class History {
  points = [];    // {time, requests, serverErrors, rejected, limited, retries (a second), p50, p90, p99 (ms)}
  #answers = [];  // the last few, {status, at, time}

  add(answer) {
    const last = this.#answers.at(-1);
    if (last && answer.status.uptime_seconds < last.status.uptime_seconds) this.#answers = [];
    const previous = this.#answers.at(-1);
    this.#answers.push(answer);
    if (this.#answers.length > KEPT_ANSWERS) this.#answers.shift();
    if (!previous) {
      this.points.push({time: answer.time, isGap: true});
    } else {
      if (answer.at - previous.at > GAP_MS) this.points.push({time: answer.time - 1, isGap: true});
      this.points.push(this.#point(previous, answer));
    }
    const oldest = answer.time - HISTORY_MS - 2000;
    while (this.points[0].time < oldest) this.points.shift();
  }

  // The newest point, unless there is none or nothing is known at it.
  get latest() {
    const last = this.points.at(-1);
    return last && !last.isGap ? last : null;
  }

  // Of one backend, over the last seconds: {rate, p99}; null where that is not known.
  ofBackend(name) {
    const newest = this.#answers.at(-1);
    const find = (answer) => answer.status.backends.find((backend) => backend.name === name);
    const over = (windowMs) => {
      const older = this.#before(newest, windowMs);
      const was = older && find(older);
      if (!was || older === newest) return null;
      const part = backendDifference(was, find(newest));
      return {...part, seconds: (newest.at - older.at) / 1000};
    };
    const short = over(RATE_WINDOW_MS);
    const long = over(LATENCY_WINDOW_MS);
    return {
      rate: short && short.requests / short.seconds,
      p99: long && quantile(0.99, long.buckets, newest.status.request_duration_bounds_us),
    };
  }

  #point(previous, answer) {
    const step = difference(previous, answer);
    const window = difference(this.#before(answer, LATENCY_WINDOW_MS), answer);
    const bounds = answer.status.request_duration_bounds_us;
    const perSecond = (n) => n / Math.max(step.seconds, 0.001);
    return {
      time: answer.time,
      isGap: false,
      requests: perSecond(step.requests),
      serverErrors: perSecond(step.serverErrors),
      rejected: perSecond(step.rejected),
      limited: perSecond(step.limited),
      retries: perSecond(step.retries),
      p50: quantile(0.5, window.buckets, bounds),
      p90: quantile(0.9, window.buckets, bounds),
      p99: quantile(0.99, window.buckets, bounds),
    };
  }

  // The oldest answer that is at most that much older, and not across a gap.
  #before(newest, windowMs) {
    let found = newest;
    for (let i = this.#answers.length - 1; i >= 0; --i) {
      const answer = this.#answers[i];
      if (newest.at - answer.at > windowMs + 500 || found.at - answer.at > GAP_MS) break;
      found = answer;
    }
    return found;
  }
}
