import type { FromSchema, JSONSchema } from 'json-schema-to-ts';

/**
 * One call of an HTTP API, described once: its route and the check of its body are made from this, the types of what it takes
 * and answers, and its part of the OpenAPI document. Schemas are JSON Schema, as far as its draft 7, which Fastify checks
 * bodies with, and its draft 2020-12, which OpenAPI 3.1 has, say the same. One with a `title` is a component of the document.
 */
export interface Operation {
  /** Unique in a document: what generated clients call it. */
  readonly id: string;
  readonly method: 'GET' | 'POST';
  /** Parameters in braces: `/api/connections/{id}`. */
  readonly path: `/${string}`;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly body?: { readonly schema: JSONSchema; readonly example: unknown };
  /** By status, but for those of {@link errors}. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** All others that it can give, by status. */
  readonly errors: Readonly<Record<number, Answer>>;
  /** Whether it is answered to everybody. */
  readonly isOpen?: boolean;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly description: string;
  readonly required?: boolean;
  readonly schema: JSONSchema;
}

export interface Answer {
  readonly description: string;
  /** By media type; no body without it. */
  readonly content: Readonly<Record<string, JSONSchema>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a call takes. */
export type BodyOf<O extends { readonly body: { readonly schema: JSONSchema } }> = Kept<
  FromSchema<O['body']['schema']>
>;

/** What a schema describes, for who only reads it. */
export type Described<S extends JSONSchema> = Kept<FromSchema<S>>;

type Kept<T> = T extends readonly (infer Element)[]
  ? readonly Kept<Element>[]
  : T extends object
    ? { readonly [Key in keyof T]: Kept<T[Key]> }
    : T;

interface Route {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly schema: { readonly body?: JSONSchema; readonly querystring?: JSONSchema };
}

/** The route of an operation for Fastify, which checks bodies and queries by its schemas. */
export function routeOf({ method, path, body, parameters = [] }: Operation): Route {
  const query = parameters.filter((parameter) => parameter.in === 'query');
  const schema = {
    ...(body !== undefined && { body: body.schema }),
    ...(query.length > 0 && { querystring: querySchema(query) }),
  };
  return { method, url: pathPattern(path), schema };
}

function querySchema(parameters: readonly Parameter[]): JSONSchema {
  return {
    type: 'object',
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required === true).map(({ name }) => name),
    additionalProperties: false,
  };
}

/** As routers write it: `/api/connections/:id`. */
export function pathPattern(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

export function json(description: string, schema: JSONSchema, headers?: Answer['headers']): Answer {
  return { description, content: { 'application/json': schema }, ...(headers !== undefined && { headers }) };
}
