// The tables of backends and workers, the rate limiter, the config: /status as it is, in words.

const STATES_IN_USE = new Set(['up', 'suspect', 'slow_start', 'unknown']);
const isInUse = (backend) => STATES_IN_USE.has(backend.state);

// A table of fixed columns. Roles are written out: on a narrow screen rows are shown as blocks, and
// browsers take that for the end of the table.
class Grid {
  #columns;
  #body = el('tbody', {role: 'rowgroup'});
  #keyOf;

  // columns: {id, title, isNumber, isHeader, make() → nodes of a cell, update(cell, item)}
  constructor(table, columns, keyOf) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    const heads = columns.map((column) => el(
        'th', {role: 'columnheader', scope: 'col', class: column.isNumber ? 'number' : null},
        column.title));
    table.append(el('thead', {role: 'rowgroup'}, el('tr', {role: 'row'}, ...heads)), this.#body);
  }

  draw(items) {
    reconcile(this.#body, items, this.#keyOf, () => this.#row(), (row, item) => {
      this.#columns.forEach((column, i) => column.update(row.children[i], item));
    });
  }

  #row() {
    return el('tr', {role: 'row'}, ...this.#columns.map((column) => {
      const cell = column.isHeader ? el('th', {role: 'rowheader', scope: 'row'})
                                   : el('td', {role: 'cell'});
      if (column.isNumber) cell.classList.add('number');
      cell.dataset.title = column.title;
      cell.dataset.column = column.id;
      cell.append(...(column.make ? column.make() : []));
      return cell;
    }));
  }
}

// A column that is one text.
const textColumn = (id, title, text, more = {}) =>
    ({id, title, ...more, update: (cell, item) => setText(cell, text(item))});
const numberColumn = (id, title, text) => textColumn(id, title, text, {isNumber: true});

// Two lines, the second one quieter.
const twoLines = () => [el('span', {class: 'first'}), el('span', {class: 'second'})];
function setTwoLines(cell, first, second) {
  setText(cell.children[0], first);
  setText(cell.children[1], second);
}

function ago(timestamp, now) {
  return timestamp === null ? 'not probed yet' : `for ${duration((now - Date.parse(timestamp)) / 1000)}`;
}

class BackendTable {
  #history;
  #now = 0;
  #grid;

  constructor(history) {
    this.#history = history;
    this.#grid = new Grid(byId('backend-table'), this.#columns(), ({name}) => name);
  }

  draw(status, now) {
    this.#now = now;
    this.#grid.draw(status.backends);
  }

  #columns() {
    return [
      {id: 'name', title: 'Backend', isHeader: true, make: twoLines,
       update: (cell, {name, address, backup, weight}) => setTwoLines(
           cell, name, address + (backup ? ', backup' : '') + (weight !== 1 ? `, weight ${weight}` : ''))},
      {id: 'state', title: 'State', make: () => [stateIcon('unknown'), el('span', {class: 'word'})],
       update: (cell, {state}) => {
         setStateIcon(cell.children[0], state);
         setText(cell.children[1], stateWord(state));
       }},
      {id: 'why', title: 'Since, and why', make: twoLines, update: (cell, backend) => {
         setTwoLines(cell, ago(backend.since, this.#now), backend.reason);
         setAttribute(cell.children[0], 'title',
                      backend.since && fullTime(Date.parse(backend.since)));
       }},
      {id: 'probe', title: 'Last probe', make: twoLines, update: (cell, {last_probe: probe}) => {
         if (!probe) return setTwoLines(cell, '–', '');
         const row = probe.failures > 0 ? `${plural(probe.failures, 'failure')} in a row`
                                        : `${count(probe.successes)} in a row`;
         setTwoLines(cell, probe.result, `${milliseconds(probe.duration_ms)}, ${row}`);
       }},
      {id: 'share', title: 'Share', isNumber: true,
       make: () => [el('span'), el('meter', {min: 0, max: 1, 'aria-hidden': 'true'})],
       update: (cell, {ring_share: share}) => {
         setText(cell.children[0], percent(share));
         cell.children[1].value = share;
       }},
      numberColumn('in_flight', 'In flight', ({in_flight: n, max_connections: most}) =>
                   most > 0 ? `${count(n)} of ${count(most)}` : count(n)),
      numberColumn('rate', 'Req/s', ({name}) => rate(this.#history.ofBackend(name).rate)),
      numberColumn('p99', 'p99', ({name}) => milliseconds(this.#history.ofBackend(name).p99)),
      numberColumn('requests', 'Requests', ({requests}) => count(requests)),
      numberColumn('errors', '5xx', ({responses}) => count(responses['5xx'])),
      numberColumn('reused', 'Reused', ({connections}) => count(connections.reused)),
      numberColumn('connections', 'Idle / busy', ({connections: {idle, busy}}) =>
                   `${count(idle)} / ${count(busy)}`),
    ];
  }
}

class WorkerTable {
  #generation = 0;
  #grid = new Grid(byId('worker-table'), [
    textColumn('slot', 'Worker', ({slot}) => String(slot), {isHeader: true}),
    numberColumn('pid', 'PID', ({pid}) => String(pid)),
    textColumn('state', 'State', ({state}) => state),
    numberColumn('generation', 'Gen.', ({generation}) =>
                 generation === this.#generation ? String(generation) : `${generation}, old`),
    numberColumn('connections', 'Clients', ({connections}) => count(connections)),
    numberColumn('heartbeat', 'Last beat', ({heartbeat_age_ms: ms}) =>
                 ms < 500 ? '< 0.5 s ago' : `${(ms / 1000).toFixed(1)} s ago`),
  ], ({slot, pid}) => `${slot}/${pid}`);

  draw(status) {
    this.#generation = status.generation;
    this.#grid.draw(status.workers);
    const {signal, exit, hung} = status.worker_restarts;
    const total = signal + exit + hung;
    setText(byId('worker-restarts'), total === 0
        ? 'None had to be replaced.'
        : `Replaced: ${count(signal)} killed by a signal, ${count(exit)} ended by themselves, ${count(hung)} hung.`);
  }
}

// Pairs of a name and a text: {'Rate': '10', …} into a <dl>.
function drawPairs(list, pairs) {
  reconcile(list, Object.entries(pairs), ([name]) => name,
            ([name]) => el('div', {}, el('dt', {}, name), el('dd')),
            (row, [, text]) => setText(row.children[1], text));
}

class LimiterView {
  #list = el('dl', {class: 'pairs'});
  #off = el('p', {class: 'note'}, 'Off: any client may send as much as it likes. ',
            el('code', {}, 'rate_limit.requests_per_second'), ' sets a limit.');

  draw(limit, latest) {
    const isOn = limit.requests_per_second > 0;
    const shown = isOn ? this.#list : this.#off;
    if (shown.parentNode !== byId('limiter')) byId('limiter').replaceChildren(shown);
    if (!isOn) return;
    drawPairs(this.#list, {
      'A client may send': `${count(limit.requests_per_second)} a second`,
      'And at once': count(limit.burst),
      'Clients remembered': count(limit.entries),
      'Refused a second': latest ? rate(latest.limited) : '–',
      'Refused in all': count(limit.dropped),
      'For want of room': count(limit.overflow),
    });
  }
}

class ConfigView {
  #generation = 0;  // whose text is shown

  draw(status) {
    drawPairs(byId('config-facts'), {
      'Generation': count(status.generation),
      'In force since': status.config.loaded ? fullTime(Date.parse(status.config.loaded)) : '–',
      'Last reload': status.config.last_reload_successful ? 'accepted, or none yet'
                                                          : 'refused: the log says why',
    });
    if (status.generation !== this.#generation) this.#load(status.generation);
  }

  async #load(generation) {
    this.#generation = generation;
    try {
      setText(byId('config-text'), toToml(await getJson('status/config')));
    } catch {
      this.#generation = 0;  // with the next answer of /status again
    }
  }
}

// The config as its author would write it. Only tables of values, and lists of such tables.
function toToml(config) {
  const isTable = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  const lines = (table) => Object.entries(table).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return Object.entries(config).flatMap(([name, value]) => {
    if (isTable(value)) return [[`[${name}]`, ...lines(value)].join('\n')];
    if (Array.isArray(value)) return value.map((entry) => [`[[${name}]]`, ...lines(entry)].join('\n'));
    return [];
  }).join('\n\n');
}
