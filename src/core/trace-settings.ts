/** Where traces go: OpenTelemetry's own environment variables, since that is where operators set it for everything else. */

export interface TraceSettings {
  /** `http://collector:4318/v1/traces` */
  readonly url: string
  readonly serviceName: string
}

/** Undefined where traces are off. Returns a sentence where a variable is wrong. */
export function traceSettings(
  environment: Readonly<Record<string, string | undefined>>,
): TraceSettings | string | undefined {
  if (environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined
  const exporter = environment['OTEL_TRACES_EXPORTER'] ?? ''
  if (!['', 'otlp'].includes(exporter)) return undefined
  const exact = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? ''
  const base = environment['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? ''
  const name = exact === '' ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  const url = exact === '' && base !== '' ? `${base.replace(/\/+$/, '')}/v1/traces` : exact
  if (url === '') return undefined
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url))
    return `${name} has to be an http or https URL, like http://localhost:4318`
  return { url, serviceName: environment['OTEL_SERVICE_NAME'] || 'walhook' }
}
