// What Airflow's pages show of CWL. Airflow loads this as a module, and hands over its own React and Chakra UI, so that
// it looks as the rest does, light or dark. Nothing is built, and nothing is fetched from elsewhere.
const { React, ReactRouterDOM } = globalThis;
const { Alert, Badge, Box, Button, Code, Heading, HStack, Link, Spinner, Stack, Table, Text } = globalThis.ChakraUI;
const h = React.createElement;

const STATES = { success: "green", failed: "red", running: "blue", skipped: "gray", upstream_failed: "orange" };
const TABLE_ROWS = 200;
const TABLE_COLUMNS = 100;
const MOST_ENTRIES = 500;
const PREVIEW_BYTES = 200_000;

const address = (path) => new URL(path, document.baseURI).href;
// Names of files may be no text.
const part = (text) => encodeURIComponent(text.toWellFormed());
const runAddress = (dagId, runId) => address(`cwl/runs/${part(dagId)}/${part(runId)}`);
const outputAddress = (run, path, as) => `${run}/outputs/${path.split("/").map(part).join("/")}?as=${as}`;

/** Fetch JSON; an answer that refuses becomes an error with its own words. */
async function fetchJson(url, options) {
  const answer = await fetch(url, options);
  const text = await answer.text();
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    content = undefined;
  }
  if (!answer.ok) throw new Error(content?.detail ?? `${answer.status} ${answer.statusText}`);
  return content;
}

/** Fetch JSON when the page comes up, and again every few seconds while `again` says so. */
function useJson(url, again = () => false) {
  const [state, setState] = React.useState({});
  React.useEffect(() => {
    let gone = false;
    let timer;
    const load = () =>
      fetchJson(url).then(
        (content) => {
          if (gone) return;
          setState({ content });
          if (again(content)) timer = setTimeout(load, 5000);
        },
        // A server that is restarted answers again.
        (error) => {
          if (gone) return;
          setState((before) => ({ ...before, error }));
          timer = setTimeout(load, 10_000);
        },
      );
    load();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [url]);
  return state;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
function bytes(number) {
  if (number === null || number === undefined) return "";
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(number, 1)) / 3));
  const value = number / 1000 ** power;
  return `${power && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}

function seconds(number) {
  if (number === null || number === undefined) return "";
  if (number < 60) return `${number < 10 ? number.toFixed(1) : Math.round(number)} s`;
  const [hours, minutes] = [Math.floor(number / 3600), Math.floor(number / 60) % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${Math.round(number % 60)} s`;
}

const Problem = ({ children }) =>
  h(Alert.Root, { status: "error" }, h(Alert.Indicator), h(Alert.Title, { overflowWrap: "anywhere" }, children));

const Section = ({ title, children }) => h(Stack, { gap: 2 }, h(Heading, { size: "md", as: "h3" }, title), children);

const Grid = ({ columns, children }) =>
  h(
    Box,
    { overflowX: "auto" },
    h(
      Table.Root,
      { size: "sm" },
      h(
        Table.Header,
        null,
        h(Table.Row, null, columns.map((name, number) => h(Table.ColumnHeader, { key: number }, name))),
      ),
      h(Table.Body, null, children),
    ),
  );

const Words = ({ children }) => h(Code, { whiteSpace: "pre-wrap", overflowWrap: "anywhere", size: "sm" }, children);

/** The lines of a table, of which values in quotes may have separators in them. */
function parseTable(text, separator) {
  const rows = [[]];
  let value = "";
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') value += sign;
      else if (text[at + 1] === '"') value += text[(at += 1)];
      else quoted = false;
    } else if (sign === '"' && value === "") quoted = true;
    else if (sign === separator || sign === "\n") {
      rows.at(-1).push(value.replace(/\r$/, ""));
      value = "";
      if (sign === "\n") {
        if (rows.length > TABLE_ROWS) return rows.slice(0, -1);
        rows.push([]);
      }
    } else value += sign;
  }
  if (value !== "" || rows.at(-1).length) rows.at(-1).push(value);
  return rows.filter((row) => row.length);
}

/** What is in a file, below its line. */
function Preview({ run, file, show }) {
  const source = outputAddress(run, file.path, "view");
  const fetched = show === "text" || show === "table";
  const [state, setState] = React.useState({});
  React.useEffect(() => {
    if (!fetched) return;
    fetch(source, { headers: { Range: `bytes=0-${PREVIEW_BYTES - 1}` } }).then(
      async (answer) => {
        if (answer.status === 416) setState({ text: "" });
        else if (!answer.ok) setState({ error: (await answer.json()).detail });
        else setState({ text: await answer.text() });
      },
      (error) => setState({ error: String(error) }),
    );
  }, [source]);
  if (show === "image") return h("img", { src: source, alt: file.name, style: { maxWidth: "100%" } });
  if (!fetched) {
    const sandbox = show === "html" ? { sandbox: "allow-scripts" } : {};
    return h("iframe", { src: source, title: file.name, style: { width: "100%", height: "70vh" }, ...sandbox });
  }
  if (state.error) return h(Problem, null, state.error);
  if (state.text === undefined) return h(Spinner);
  if (state.text === "") return h(Text, null, "The file is empty.");
  const cut = file.size > PREVIEW_BYTES && h(Text, { fontStyle: "italic" }, "The rest is left out: download the file.");
  if (show === "table") {
    const all = parseTable(state.text, /\.csv$/i.test(file.name) ? "," : "\t");
    const [first = [], ...rows] = all.map((row) => row.slice(0, TABLE_COLUMNS));
    const more = rows.length >= TABLE_ROWS || all.some((row) => row.length > TABLE_COLUMNS);
    const many =
      more && h(Text, { fontStyle: "italic" }, `At most ${TABLE_ROWS} lines and ${TABLE_COLUMNS} columns are shown.`);
    const cells = (row) => row.map((cell, column) => h(Table.Cell, { key: column }, cell));
    const lines = rows.map((row, number) => h(Table.Row, { key: number }, cells(row)));
    return h(Stack, null, h(Grid, { columns: first }, lines), many || cut);
  }
  return h(
    Stack,
    null,
    h(Box, { as: "pre", fontSize: "sm", overflow: "auto", maxHeight: "70vh", whiteSpace: "pre" }, state.text),
    cut,
  );
}

/** What cannot be shown takes nothing else of the page with it. */
class Careful extends React.Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = this.state;
    return error ? h(Problem, null, `${this.props.name} cannot be shown: ${error.message}`) : this.props.children;
  }
}

/** A button that shows something or hides it, and says of what. */
const Toggle = ({ open, setOpen, label, of }) =>
  h(
    Button,
    { size: "xs", variant: "outline", onClick: () => setOpen(!open), "aria-expanded": open, "aria-label": `${label} ${of}` },
    label,
  );

/** A file or a folder, with what can be done with it, and below it what is in it. */
function Entry({ run, file }) {
  const [open, setOpen] = React.useState(false);
  const label = file.folder ? (open ? "Close" : "Open") : open ? "Hide" : "View";
  return h(
    Stack,
    { gap: 1, paddingStart: 6 },
    h(
      HStack,
      { gap: 3, flexWrap: "wrap" },
      h(Text, { fontWeight: "medium", overflowWrap: "anywhere" }, file.folder ? `${file.name}/` : file.name),
      h(Text, { color: "fg.muted", title: file.checksum }, bytes(file.size)),
      file.format && h(Text, { color: "fg.muted" }, String(file.format).replace(/^.*[#/]/, "")),
      h(Toggle, { open, setOpen, label, of: file.name }),
      h(
        Link,
        { href: outputAddress(run, file.path, "download"), download: "", color: "fg.info" },
        file.folder ? "Download as ZIP" : "Download",
      ),
    ),
    file.checksum && open && h(Text, { color: "fg.muted", fontSize: "xs" }, file.checksum.replace("$", " ")),
    open &&
      (file.folder
        ? h(React.Fragment, null, h(LeftOut, { run, file }), h(Folder, { run, file }))
        : h(Preview, { run, file, show: file.show })),
  );
}

/** What the archive of a folder does not have. */
function LeftOut({ run, file }) {
  const { content = [] } = useJson(outputAddress(run, file.path, "left-out"));
  if (!content.length) return null;
  const [first] = content;
  const number = content.length === MOST_ENTRIES ? `${MOST_ENTRIES} and more` : content.length;
  const many = content.length > 1 && ` It is one of ${number}: LEFT-OUT.txt in the ZIP names all.`;
  return h(
    Text,
    { paddingStart: 6, fontStyle: "italic", overflowWrap: "anywhere", className: "cwl-left-out" },
    `Not in the ZIP: ${first.path} (${first.why}).`,
    many,
  );
}

function Folder({ run, file }) {
  const { content, error } = useJson(outputAddress(run, file.path, "list"));
  if (!content) return error ? h(Problem, null, error.message) : h(Spinner);
  if (!content.length) return h(Text, { paddingStart: 6, color: "fg.muted" }, "Nothing is in it.");
  const more = content.length >= MOST_ENTRIES && h(Text, { fontStyle: "italic" }, `The first ${MOST_ENTRIES}.`);
  return h(
    React.Fragment,
    null,
    content.map((each) => h(Careful, { key: each.path, name: each.name }, h(Entry, { run, file: each }))),
    more,
  );
}

function Output({ run, output }) {
  const left = output.number - output.files.length;
  return h(
    Box,
    null,
    h(Text, { fontFamily: "mono", color: "fg.muted" }, output.name),
    output.number
      ? output.files.map((file) => h(Careful, { key: file.path, name: file.name }, h(Entry, { run, file })))
      : h(Words, null, output.value),
    left > 0 && h(Text, { paddingStart: 6, fontStyle: "italic" }, `and ${left} more, in the folder of the outputs`),
  );
}

const State = ({ name }) => h(Badge, { colorPalette: STATES[name] ?? "gray" }, name ?? "waiting");

const nameOf = ({ task, part }) => (part === null ? task : `${task} [${part}]`);

const Image = ({ name, digest }) =>
  h(Text, { overflowWrap: "anywhere" }, `Image: ${name}${digest ? ` (${digest})` : ""}`);

/** Why a task failed: the line that says it, and of its job the command and what it said last. */
const Failure = ({ failure }) =>
  h(
    Stack,
    { gap: 1, borderStartWidth: 4, borderColor: "red.solid", paddingStart: 3, className: "cwl-failure" },
    h(
      HStack,
      { gap: 3, flexWrap: "wrap" },
      h(Text, { fontWeight: "medium" }, nameOf(failure)),
      failure.reason && h(Badge, { colorPalette: "red" }, failure.reason),
    ),
    h(Words, null, failure.why),
    failure.command && h(Text, { color: "fg.muted" }, "The command:"),
    failure.command && h(Words, null, failure.command),
    failure.image && h(Image, { name: failure.image, digest: failure.digest }),
    failure.command && h(Text, { color: "fg.muted" }, failure.lines.length ? "What it said last:" : "It said nothing."),
    failure.lines?.length > 0 && h(Words, null, failure.lines.join("\n")),
  );

const COLUMNS = ["Step", "State", "Time", "Memory", "Disk", "Exit code", "Jobs", "Queue", "Host", "Tries", ""];

/** What a step took, and on demand the command and the images of its jobs. */
function Step({ task }) {
  const [open, setOpen] = React.useState(false);
  const cells = [
    nameOf(task),
    h(State, { name: task.state }),
    seconds(task.seconds ?? task.duration),
    bytes(task.memory),
    bytes(task.disk),
    [task.exit_codes ?? []].flat().join(", "),
    task.jobs,
    task.queue,
    task.host,
    task.tries,
    task.command && h(Toggle, { open, setOpen, label: "Command", of: task.task }),
  ];
  const images = Object.entries(task.images ?? {}).map(([name, digest]) => h(Image, { key: name, name, digest }));
  const mark = task.state === "failed" ? { background: "bg.error" } : {};
  return h(
    React.Fragment,
    null,
    h(Table.Row, mark, cells.map((cell, column) => h(Table.Cell, { key: column }, cell))),
    open &&
      h(
        Table.Row,
        null,
        h(
          Table.Cell,
          { colSpan: COLUMNS.length },
          h(Stack, null, images, task.jobs > 1 && h(Text, null, "Of the first job:"), h(Words, null, task.command)),
        ),
      ),
  );
}

const Steps = ({ tasks }) =>
  h(
    Grid,
    { columns: COLUMNS },
    tasks.map((task) => h(Step, { key: `${task.task} ${task.part}`, task })),
  );

function Again({ dagId, conf }) {
  const go = ReactRouterDOM.useNavigate();
  const [said, say] = React.useState("");
  const start = () =>
    fetchJson(address(`api/v2/dags/${part(dagId)}/dagRuns`), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ logical_date: null, conf }),
    }).then(
      (run) => go(`/dags/${part(dagId)}/runs/${part(run.dag_run_id)}`),
      (error) => say(error.message),
    );
  return h(
    Stack,
    null,
    h(Box, null, h(Button, { size: "sm", variant: "outline", onClick: start }, "Run again with the same job")),
    said && h(Problem, null, said),
  );
}

const Crate = ({ run, missing }) =>
  missing
    ? h(Text, { color: "fg.muted", fontSize: "sm" }, missing)
    : h(
        HStack,
        { gap: 3, flexWrap: "wrap" },
        h(Link, { href: `${run}/crate`, download: "", color: "fg.info" }, "Download as RO-Crate"),
        h(Text, { color: "fg.muted", fontSize: "sm" }, "All of it with the document, the job, and what each step was."),
      );

/** The outputs of a run, what its steps took, why it failed, and its job. */
function Results({ dagId, runId }) {
  const run = runAddress(dagId, runId);
  const ends = (content) => !["queued", "running"].includes(content.state);
  const { content, error } = useJson(run, (found) => !ends(found));
  if (!content) return h(Box, { padding: 4 }, error ? h(Problem, null, error.message) : h(Spinner));
  if (!content.cwl) return h(Box, { padding: 4 }, h(Text, null, "This DAG is not made of a CWL document."));
  const waiting = ends(content) ? content.missing : "The run has not ended yet.";
  return h(
    Stack,
    { gap: 6, padding: 4, className: "cwl-results" },
    content.failed.length > 0 &&
      h(
        Section,
        { title: "Why it failed" },
        content.failed.map((failure) => h(Careful, { key: nameOf(failure), name: nameOf(failure) }, h(Failure, { failure }))),
      ),
    h(
      Section,
      { title: "Outputs" },
      content.outputs
        ? h(
            Stack,
            { gap: 3 },
            content.outputs.length
              ? content.outputs.map((output) => h(Output, { key: output.name, run, output }))
              : h(Text, null, "The document has no outputs."),
            h(Text, { color: "fg.muted", fontSize: "sm" }, "On the host: ", h(Words, null, content.folder)),
            content.state === "success" && h(Crate, { run, missing: content.no_crate }),
          )
        : h(Text, null, waiting),
    ),
    h(
      Section,
      { title: "Steps" },
      content.unknown && h(Text, { color: "fg.muted" }, content.unknown),
      h(Steps, { tasks: content.tasks }),
    ),
    h(
      Section,
      { title: "Job" },
      h(Words, null, JSON.stringify(content.conf.job ?? content.conf, null, 2)),
      h(Again, { dagId, conf: content.conf }),
    ),
  );
}

/** The picture of a document. */
function Workflow({ dagId }) {
  const source = address(`cwl/dags/${part(dagId)}/picture.svg`);
  const [said, say] = React.useState("");
  // An image cannot tell why it does not come.
  const ask = () => fetchJson(source).catch((error) => say(error.message));
  if (said) return h(Box, { padding: 4 }, h(Text, null, said));
  return h(
    Stack,
    { padding: 4, className: "cwl-workflow" },
    h(Text, { color: "fg.muted" }, "Inputs are green, outputs yellow. A dashed step runs once for each of its inputs, one with two lines is a workflow itself."),
    h(
      Box,
      { background: "white", borderRadius: "md", padding: 3, overflow: "auto" },
      h("img", { src: source, alt: `Workflow of ${dagId}`, onError: ask, style: { maxWidth: "none" } }),
    ),
    h(
      HStack,
      { gap: 6 },
      h(Link, { href: source, target: "_blank", color: "fg.info" }, "Open it alone"),
      h(Link, { href: address(`cwl/dags/${part(dagId)}/document`), target: "_blank", color: "fg.info" }, "The document"),
    ),
  );
}

const Runs = ({ runs, time }) =>
  h(
    Grid,
    { columns: ["DAG", "Run", time === "end" ? "Failed at" : "Since", time === "end" ? "Why" : ""] },
    runs.map((run) =>
      h(
        Table.Row,
        { key: `${run.dag_id} ${run.run_id}` },
        h(Table.Cell, null, run.dag_id),
        h(
          Table.Cell,
          null,
          h(
            ReactRouterDOM.Link,
            { to: `/dags/${part(run.dag_id)}/runs/${part(run.run_id)}` },
            h(Text, { color: "fg.info" }, run.run_id),
          ),
        ),
        h(Table.Cell, { whiteSpace: "nowrap" }, run[time]),
        h(Table.Cell, null, (run.why ?? []).map((line, number) => h(Words, { key: number }, line))),
      ),
    ),
  );

/** How the site is, what runs, and what failed and why. */
function Site() {
  const { content, error } = useJson(address("cwl/status"), () => true);
  if (!content) return h(Box, { padding: 4 }, error ? h(Problem, null, error.message) : h(Spinner));
  const queue = (each) =>
    h(
      Table.Row,
      { key: each.name },
      [each.name, each.running, each.waiting, each.workers, each.grants].map((cell, column) =>
        h(Table.Cell, { key: column }, cell),
      ),
    );
  const sitePart = (each) =>
    h(
      Table.Row,
      { key: each.name },
      h(Table.Cell, null, h(Badge, { colorPalette: each.state === "ok" ? "green" : "red" }, each.state)),
      h(Table.Cell, { whiteSpace: "nowrap" }, each.name),
      h(Table.Cell, { overflowWrap: "anywhere" }, each.text),
    );
  return h(
    Stack,
    { gap: 6, padding: 4, className: "cwl-site", overflowY: "auto", height: "100%" },
    h(Heading, { size: "lg", as: "h2" }, content.well ? "This site is well." : "Something has to be seen to."),
    error && h(Problem, null, `This was so before: ${error.message}`),
    h(Section, { title: "Failed in the last days" }, content.failed.length ? h(Runs, { runs: content.failed, time: "end" }) : h(Text, null, "Nothing.")),
    h(Section, { title: "Running" }, content.running.length ? h(Runs, { runs: content.running, time: "start" }) : h(Text, null, "Nothing.")),
    h(Section, { title: "Queues" }, h(Grid, { columns: ["Queue", "Running tasks", "Waiting", "Workers", "A task may use"] }, content.queues.map(queue))),
    h(Section, { title: "Parts" }, h(Grid, { columns: ["", "Part", ""] }, content.parts.map(sitePart))),
    h(Text, { color: "fg.muted" }, Object.entries(content.versions).map(([name, version]) => `${name} ${version}`).join(", ")),
  );
}

// By these names Airflow finds them.
globalThis["CWL results"] = Results;
globalThis["CWL workflow"] = Workflow;
globalThis["CWL"] = Site;
