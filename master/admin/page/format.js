// Numbers and times as people read them. Everything is told in the browser's language of numbers.

const wholeNumber = new Intl.NumberFormat(undefined, {maximumFractionDigits: 0});
const clock = new Intl.DateTimeFormat(
    undefined, {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'});
const dayAndClock = new Intl.DateTimeFormat(
    undefined, {dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23'});

const count = (n) => wholeNumber.format(n);

// Three figures are all that can be compared at a glance.
function rate(perSecond) {
  if (perSecond === null) return '–';
  if (perSecond === 0) return '0';
  if (perSecond < 10) return perSecond.toFixed(perSecond < 1 ? 2 : 1);
  return count(perSecond);
}

function milliseconds(ms) {
  if (ms === null) return '–';
  if (ms >= 10000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 10) return `${ms.toFixed(0)} ms`;
  return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
}

function percent(share) {
  if (share < 1e-6) return '0 %';
  if (share < 0.0005) return '< 0.1 %';
  return `${(share * 100).toFixed(1)} %`;
}

// The two largest units: "3 d 4 h", "2 min 5 s".
function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = units.findIndex(([size]) => whole >= size);
  if (first < 0) return '0 s';
  const [size, name] = units[first];
  const rest = units[first + 1];
  const text = `${Math.floor(whole / size)} ${name}`;
  const more = rest ? Math.floor((whole % size) / rest[0]) : 0;
  return more > 0 ? `${text} ${more} ${rest[1]}` : text;
}

const timeOfDay = (ms) => clock.format(ms);
const fullTime = (ms) => dayAndClock.format(ms);
const stateWord = (state) => state.replace('_', ' ');
const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
