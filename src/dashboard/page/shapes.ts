/**
 * What the HTTP API answers, as far as the page reads it. Types alone: the browser never loads this file. That the API's own
 * schemas answer no less is checked by test/unit/page-shapes.test.ts.
 */

export type Scope = 'admin' | 'operate' | 'read' | 'publish'

export interface Me {
  readonly scope: Scope
  readonly tenant: string | null
  readonly key_id: string | null
  /** How it came in: `session`, `loopback`, … */
  readonly by: string
}

export interface Page<T> {
  readonly data: readonly T[]
  readonly next_cursor: string | null
}

export interface ProblemBody {
  readonly title?: string
  readonly status?: number
  readonly detail?: string
  readonly request_id?: string
  readonly errors?: readonly { readonly field: string; readonly detail: string }[]
}

export type SubscriptionState = 'active' | 'paused' | 'disabled'

export interface Health {
  readonly failing_since: string | null
  readonly failures_in_a_row: number
  readonly failure_rate_7d: number | null
  readonly pending: number
  readonly dead: number
  readonly oldest_pending_at: string | null
  readonly last_delivered_at: string | null
}

export interface RecentAttempt {
  readonly delivery_id: string
  readonly attempt: number
  readonly at: string
  readonly duration_ms: number | null
  readonly status: number | null
  readonly error: string | null
  readonly outcome: string
}

export interface Subscription {
  readonly id: string
  readonly name: string | null
  readonly tenant: string | null
  readonly url: string
  readonly description: string | null
  readonly event_types: readonly string[]
  readonly filter: string | null
  readonly state: SubscriptionState
  readonly state_reason: string | null
  readonly secret_preview: string
  readonly previous_secret_until: string | null
  readonly ed25519_public_key: string | null
  readonly method: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly forward_headers: readonly string[]
  readonly signature: readonly string[]
  readonly signature_header: string | null
  readonly header_prefix: string | null
  readonly has_auth: boolean
  readonly has_tls: boolean
  readonly handshake: boolean
  readonly batch: { readonly max_events?: number | undefined; readonly max_wait?: string | undefined } | null
  readonly ordering: string
  readonly on_dead: string
  readonly rate_limit: string | null
  readonly max_in_flight: number | null
  readonly timeout: string
  readonly retry_schedule: readonly string[]
  readonly retry_on: string
  readonly ttl: string | null
  readonly disable_after: string
  readonly created_at: string
  readonly updated_at: string
  readonly health: Health
  readonly recent: readonly RecentAttempt[]
}

export type DeliveryState = 'pending' | 'delivered' | 'dead' | 'cancelled'

export interface Delivery {
  readonly id: string
  readonly state: DeliveryState
  readonly event_id: string
  readonly event_type: string | null
  readonly key: string | null
  readonly tenant: string | null
  readonly subscription_id: string
  readonly url: string | null
  readonly attempts: number
  readonly last_status: number | null
  readonly last_error: string | null
  readonly waits_as: string | null
  readonly next_attempt_at: string | null
  readonly created_at: string
  readonly finished_at: string | null
}

export interface Attempt {
  readonly number: number
  readonly started_at: string
  readonly duration_ms: number
  readonly response_status: number | null
  readonly error: string | null
  readonly response_body: string | null
  readonly batch_id: string | null
}

export interface OutboxEvent {
  readonly id: string
  readonly type: string
  readonly key: string | null
  readonly tenant: string | null
  readonly payload?: unknown
  readonly headers?: Readonly<Record<string, unknown>>
  readonly created_at: string
  readonly captured_from: string | null
  readonly expunged_at: string | null
  readonly refused_for?: string | null
}

export interface DeliveryWithAttempts extends Omit<Delivery, 'attempts'> {
  readonly attempts: readonly Attempt[]
}

export interface EventMatch {
  readonly subscription_id: string
  /** Null where the subscription was deleted. */
  readonly url: string | null
  readonly state: string | null
  readonly delivery_id: string | null
  readonly delivery_state: string | null
  readonly matches: boolean
  /** Why not; null where it matches. */
  readonly reason: string | null
}

export interface EventType {
  readonly name: string
  readonly description: string | null
  readonly deprecated: boolean
  readonly schema?: unknown
  readonly example?: unknown
}

export interface ApiKey {
  readonly id: string
  readonly name: string | null
  readonly prefix: string
  readonly scope: Scope
  readonly tenant: string | null
  readonly expires_at: string | null
  readonly created_at: string
  readonly last_used_at: string | null
  readonly revoked_at: string | null
}

/** In milliseconds. */
export interface Latency {
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
}

export interface Point {
  readonly at: string
  readonly attempts: number
  readonly failed_attempts: number
  readonly delivered: number
  readonly dead: number
  readonly cancelled: number
}

export interface Stats {
  readonly counts: {
    readonly attempts: number
    readonly failed_attempts: number
    readonly delivered: number
    readonly dead: number
    readonly cancelled: number
  }
  readonly failure_rate: number | null
  readonly latency: { readonly attempt: Latency; readonly delivered: Latency }
  readonly backlog: {
    readonly pending: number
    readonly oldest_at: string | null
    /** Seconds. */
    readonly drained_in: number | null
  }
  readonly series: readonly Point[]
}

export interface Slot {
  readonly slot_name: string
  readonly state: string
  readonly plugin: string | null
  readonly active: boolean
  readonly streamed_by_host: string | null
  readonly lag_seconds: number | null
  readonly retained_wal_bytes: number | null
  readonly unconfirmed_wal_bytes: number | null
  readonly safe_wal_bytes: number | null
  readonly seconds_until_lost: number | null
  readonly risk: string
  readonly cause: string | null
}

export interface Replica {
  readonly id: string
  readonly host: string
  readonly version: string
  readonly role: string
  readonly streams: boolean
  readonly is_gone: boolean
  readonly started_at: string
  readonly seen_at: string
}

/** What became of a test. */
export interface TestOutcome {
  readonly delivery_id: string
  readonly event_id: string
  readonly state: DeliveryState
  readonly waits_as: string | null
  readonly next_attempt_at: string | null
  readonly attempt: {
    readonly number: number
    readonly duration_ms: number
    readonly response_status: number | null
    readonly error: string | null
    readonly response_body: string | null
  } | null
}

export interface TriedEvent {
  readonly event_id: string
  readonly type: string
  readonly key: string | null
  readonly tenant: string | null
  readonly created_at: string
  readonly matches: boolean
  readonly payload: string
}

export interface Resent {
  readonly matched: number
}
