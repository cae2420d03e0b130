/**
 * Answers by their schemas: what a schema does not name is not sent, whatever a row has beside it. What is shown may be
 * others' words, and is read in terminals.
 */
import type { FastifyReply, FastifySerializerCompiler } from 'fastify'
import { z } from 'zod'
import { visibleJson } from '../core/untrusted-text.ts'

type Declared = z.ZodType | { readonly properties: z.ZodType }

export const serializerCompiler: FastifySerializerCompiler<Declared> = ({ schema: declared }) => {
  const schema = declared instanceof z.ZodType ? declared : declared.properties
  return (data) => visibleJson(z.encode(schema, data))
}

/** For what has no schema. */
export function sendJson(reply: FastifyReply, value: object): FastifyReply {
  return reply.type('application/json; charset=utf-8').serializer(visibleJson).send(value)
}
