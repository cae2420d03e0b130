/** Answers by their schemas: what a schema does not name is not sent, whatever a row has beside it. */
import type { FastifySerializerCompiler } from 'fastify'
import { z } from 'zod'
import { visibleJson } from '../core/untrusted-text.ts'

type Declared = z.ZodType | { readonly properties: z.ZodType }

export const serializerCompiler: FastifySerializerCompiler<Declared> = ({ schema: declared }) => {
  const schema = declared instanceof z.ZodType ? declared : declared.properties
  return (data) => visibleJson(z.encode(schema, data))
}
