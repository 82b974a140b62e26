import type { Answer, Operation, Parameter } from './operation.ts';

/** An API as a whole. */
export interface Api {
  readonly title: string;
  readonly description: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  /** By name: a header of its own, or one of Authorization. Any of them is enough. */
  readonly security: Readonly<Record<string, object>>;
  readonly operations: readonly Operation[];
}

export type JsonObject = { [member: string]: unknown };

/** The API in the words of OpenAPI 3.1. Of which version of Roost, `version` says. */
export function openApiOf(api: Api, version: string): JsonObject {
  const components: JsonObject = {};
  const paths: Record<string, JsonObject> = {};
  for (const operation of api.operations) {
    (paths[operation.path] ??= {})[operation.method.toLowerCase()] = hoist(
      operationOf(operation),
      components,
    );
  }
  return {
    openapi: '3.1.1',
    info: {
      title: api.title,
      description: api.description,
      version,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      {
        url: 'http://{host}:{port}',
        variables: { host: { default: '127.0.0.1' }, port: { default: String(api.port) } },
      },
    ],
    security: Object.keys(api.security).map((name) => ({ [name]: [] })),
    tags: Object.entries(api.tags).map(([name, description]) => ({ name, description })),
    paths,
    components: { schemas: components, securitySchemes: api.security },
  };
}

function operationOf(operation: Operation): JsonObject {
  const { id, tag, summary, description, parameters, body, answers, errors, isOpen } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(isOpen === true && { security: [] }),
    ...(parameters !== undefined && { parameters: parameters.map(parameterOf) }),
    ...(body !== undefined && {
      requestBody: {
        required: isNeeded(body.schema),
        content: { 'application/json': { schema: body.schema, example: body.example } },
      },
    }),
    responses: Object.fromEntries(
      Object.entries({ ...answers, ...errors }).map(([status, answer]) => [status, answerOf(answer)]),
    ),
  };
}

/** A missing body is read as an empty object, in which something may be missing. */
function isNeeded(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'required' in schema;
}

function parameterOf({ name, in: place, description, required = false, schema }: Parameter): JsonObject {
  return { name, in: place, required, description, schema };
}

function answerOf({ description, content, headers = {} }: Answer): JsonObject {
  const named = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ]);
  return {
    description,
    ...(named.length > 0 && { headers: Object.fromEntries(named) }),
    content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }])),
  };
}

/** The same with each schema that has a title in the components, where it is named once. */
function hoist(value: unknown, components: JsonObject): unknown {
  if (Array.isArray(value)) return value.map((element) => hoist(element, components));
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, hoist(member, components)]),
  );
  if (typeof copy['title'] !== 'string') return copy;
  const { title, ...schema } = copy;
  components[title] ??= schema;
  return { $ref: `#/components/schemas/${title}` };
}
