// The page as a whole: what an answer changes, what is said about it, and what is shown when there
// is none.

const EVENTS_KEPT = 50;

const history = new History();
const ringView = new RingView();
const chartsView = new ChartsView();
const backendTable = new BackendTable(history);
const workerTable = new WorkerTable();
const limiterView = new LimiterView();
const configView = new ConfigView();

let latest = null;  // the last answer
let ring = null;    // the last /status/ring
let isLost = false;

// ---- Everything that one answer changes ----

function onAnswer(answer) {
  if (isLost) found();
  const previous = latest;
  latest = answer;
  history.add(answer);
  const {status} = answer;
  drawTiles(status);
  ringView.draw(status, ring);
  chartsView.draw(history.points);
  backendTable.draw(status, answer.time);
  workerTable.draw(status);
  limiterView.draw(status.rate_limit, history.latest);
  configView.draw(status);
  byId('renewed').hidden = status.page === pageId();
  setText(byId('live'), `Live, ${timeOfDay(answer.time)}`);
  if (previous) tell(changes(previous, answer));
  if (!isRingOf(status)) loadRing();
}

const pageId = () => document.querySelector('meta[name=ringmaster-page]').content;

// Does the ring that is drawn belong to this status?
function isRingOf(status) {
  if (!ring || ring.generation !== status.generation) return false;
  return ring.backends.length === status.backends.length &&
      ring.backends.every(({name, state}, i) => name === status.backends[i].name &&
                                                state === status.backends[i].state);
}

async function loadRing() {
  try {
    ring = await getJson('status/ring');
    ringView.draw(latest.status, ring);
  } catch {
    // The next answer of /status asks for it again.
  }
}

// ---- The figures on top ----

function drawTiles(status) {
  const usable = status.backends.filter(isInUse).length;
  const point = history.latest;
  const tile = (id, text, note) => {
    setText(byId(`tile-${id}`), text);
    setText(byId(`tile-${id}-note`), note);
  };
  tile('service', serviceWord(status),
       `version ${status.version}, up for ${duration(status.uptime_seconds)}`);
  tile('backends', `${count(usable)} of ${count(status.backends.length)}`, backendsNote(status));
  tile('rate', rate(point && point.requests), `${count(status.requests_total)} answered in all`);
  tile('latency', milliseconds(point && point.p99),
       point?.p50 == null ? 'no request in the last 10 s' : `p50 ${milliseconds(point.p50)}, p90 ${milliseconds(point.p90)}`);
  tile('errors', rate(point && point.serverErrors + point.rejected),
       `${count(sum(status.backends.map(({responses}) => responses['5xx'])))} from backends, ${count(sumOf(status.rejected))} own so far`);
  const {idle, active, tunnel} = status.client_connections;
  tile('flight', count(sum(status.backends.map((backend) => backend.in_flight))),
       `${plural(idle + active + tunnel, 'client')} connected` + (tunnel > 0 ? `, ${plural(tunnel, 'tunnel')}` : ''));
}

function serviceWord({stopping, ready, panic, backends}) {
  if (stopping) return 'Stopping';
  if (!ready) return 'Starting';
  if (panic) return 'Panic';
  return backends.some(isInUse) ? 'Serving' : 'Out of service';
}

function backendsNote(status) {
  const others = d3.groups(status.backends.filter(({state}) => state !== 'up'), ({state}) => state);
  if (status.panic) return 'so few are up that health is ignored';
  if (others.length === 0) return 'all are up';
  return others.map(([state, list]) => `${count(list.length)} ${stateWord(state)}`).join(', ');
}

// ---- What has happened ----

// When the balancer began, as far as an answer tells: the two clocks and the way between them make it a second or so.
const began = ({status, time}) => Number(time) - status.uptime_seconds * 1000;

function changes(previous, answer) {
  const was = previous.status;
  const is = answer.status;
  const before = new Map(was.backends.map((backend) => [backend.name, backend]));
  const now = new Set(is.backends.map(({name}) => name));
  const told = [];
  for (const {name, state, reason} of is.backends) {
    const old = before.get(name);
    if (!old) told.push([state, `${name} is new, and ${stateWord(state)}`]);
    else if (old.state !== state) told.push([state, `${name} is ${stateWord(state)}${reason ? `: ${reason}` : ''}`]);
  }
  for (const name of before.keys()) {
    if (!now.has(name)) told.push(['unknown', `${name} has left the config`]);
  }
  if (began(answer) - began(previous) > 1500) told.push(['unknown', 'The balancer was started anew']);
  else if (was.generation !== is.generation) {
    told.push(['unknown', `Generation ${is.generation} of the config is in force`]);
  }
  const replaced = sumOf(is.worker_restarts) - sumOf(was.worker_restarts);
  if (replaced > 0) told.push(['suspect', `${plural(replaced, 'worker')} had to be replaced`]);
  if (is.panic && !was.panic) told.push(['down', 'So few backends are up that health is ignored']);
  if (was.panic && !is.panic) told.push(['up', 'Health counts again']);
  if (is.stopping && !was.stopping) told.push(['draining', 'The balancer is stopping']);
  return told;
}

// Into the list, and to whoever listens instead of looking. told: [state of its icon, text] each.
function tell(told) {
  if (told.length === 0) return;
  const list = byId('events');
  const time = Date.now();
  for (const [state, text] of told) {
    list.prepend(el('li', {}, el('time', {datetime: new Date(time).toISOString()}, timeOfDay(time)),
                    stateIcon(state), el('span', {}, text)));
  }
  while (list.children.length > EVENTS_KEPT) list.lastElementChild.remove();
  setText(byId('announcer'), told.length > 3 ? `${told.length} changes; the last: ${told.at(-1)[1]}`
                                             : told.map(([, text]) => text).join('. '));
}

// ---- When it does not answer ----

function onFailure() {
  if (!isLost) {
    isLost = true;
    document.body.classList.add('is-lost');
    setText(byId('lost-what'), 'The balancer does not answer.');
    byId('lost').hidden = false;
    setText(byId('live'), 'Lost');
    if (latest) tell([['down', 'The balancer does not answer']]);
  }
  setText(byId('lost-since'), latest
      ? `Its last answer was at ${timeOfDay(latest.time)}, ${duration((Date.now() - latest.time) / 1000)} ago.`
      : 'It has not answered since this page was opened.');
}

function found() {
  isLost = false;
  document.body.classList.remove('is-lost');
  byId('lost').hidden = true;
  setText(byId('lost-what'), '');
  tell([['up', 'The balancer answers again']]);
}

// ---- Start ----

const feed = new Feed(onAnswer, onFailure);

byId('pause').addEventListener('click', () => {
  const button = byId('pause');
  const isPaused = button.getAttribute('aria-pressed') !== 'true';
  setAttribute(button, 'aria-pressed', String(isPaused));
  feed.isPaused = isPaused;
  if (isPaused && latest) setText(byId('live'), `Paused, ${timeOfDay(latest.time)}`);
});

setText(byId('host'), location.host);
document.title = `Ringmaster, ${location.host}`;
setText(byId('events'), '');
tell([['unknown', 'This page was opened']]);
setText(byId('announcer'), '');
feed.start();
