// Microsoft's own binder for KQL, and a lint over the tree that it has bound.
// Standard input: {"tables": {table: {column: type}}, "texts": {name: text}}. Standard output:
// {name: {"findings": [{line, column, code, message}], "columns": [[name, type]]}}.
'use strict';
require('@kusto/language-service-next/bridge.min.js');
require('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
const { Symbols, Syntax, GlobalState, KustoCode } = Kusto.Language;

// The binder accepts these on rows in no order; the service does not.
const NEED_ORDER = new Set(['prev', 'next', 'row_number', 'row_cumsum', 'row_rank_dense',
  'row_rank_min', 'row_window_session']);
// What Azure Data Explorer has and Azure Monitor lacks.
const NOT_IN_MONITOR = new Set(['cluster', 'database', 'cursor_after', 'cursor_before_or_at',
  'cursor_current', 'current_cursor', 'current_principal', 'current_principal_details',
  'current_principal_is_member_of', 'extent_id', 'extent_tags']);
const STATEMENTS_NOT_IN_MONITOR = new Set(['QueryParametersStatement', 'AliasStatement']);

function globalsOf(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}:${type}`).join(', ');
    return new Symbols.TableSymbol.$ctor7(name, `(${schema})`, null);
  });
  return GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('db', symbols));
}

function kindOf(node) {
  return System.Enum.toString(Syntax.SyntaxKind, node.Kind);
}

function visit(node, look) {
  if (!node) return;
  look(node);
  for (let at = 0; at < node.ChildCount; at++) visit(node.GetChild(at), look);
}

// The rows that flow into the operator around `node`.
function rowsInto(node) {
  let operator = null;
  for (let at = node; at; at = at.Parent) {
    if (operator && kindOf(at) === 'PipeExpression' && at.Operator === operator) {
      return at.Expression.ResultType;
    }
    if (Bridge.is(at, Syntax.QueryOperator)) operator = at;
  }
  return null;
}

function lint(node, report) {
  const kind = kindOf(node);
  if (STATEMENTS_NOT_IN_MONITOR.has(kind)) {
    report(node, 'MONITOR', `Azure Monitor has no ${kind}`);
  }
  if (kind !== 'FunctionCallExpression') return;
  const name = node.Name.SimpleName;
  if (NOT_IN_MONITOR.has(name)) report(node, 'MONITOR', `Azure Monitor has no ${name}()`);
  if (NEED_ORDER.has(name)) {
    const rows = rowsInto(node);
    if (!(rows && (rows.IsSerialized || rows.IsSorted))) {
      report(node, 'UNSORTED', `${name}() on rows in no order; sort them first`);
    }
  }
}

function check(text, globals) {
  const findings = [];
  const add = (offset, code, message) => {
    const before = text.slice(0, offset).split('\n');
    findings.push({ line: before.length, column: before[before.length - 1].length + 1, code, message });
  };
  const code = KustoCode.ParseAndAnalyze(text, globals);
  for (const found of Bridge.toArray(code.GetDiagnostics())) add(found.Start, found.Code, found.Message);
  visit(code.Syntax, (node) => lint(node, (at, rule, message) => add(at.TextStart, rule, message)));
  const columns = [];
  if (code.ResultType && code.ResultType.Columns) {
    for (const column of Bridge.toArray(code.ResultType.Columns)) {
      columns.push([column.Name, column.Type.Name]);
    }
  }
  return { findings, columns };
}

const { tables, texts } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const globals = globalsOf(tables);
const results = Object.entries(texts).map(([name, text]) => [name, check(text, globals)]);
process.stdout.write(JSON.stringify(Object.fromEntries(results)));
