/** A configuration file: which subscriptions and event types there are to be. What can stand in them is the database's to say. */
import {
  isSecretOption,
  isSubscriptionOption,
  SHOWN_OPTIONS,
  type SubscriptionOption,
  type SubscriptionOptions,
} from '../../core/subscription-options.ts'
import { urlFault } from '../../core/endpoint-url.ts'
import { visible } from '../../core/untrusted-text.ts'
import type { Environment } from '../../config.ts'
import { invalidInput } from '../refusal.ts'
import { substituted } from './environment-values.ts'
import { type PlacedMap, readSections } from './yaml-file.ts'

/** Where an entry stands, and each of its fields. */
export interface Places {
  readonly entry: string
  readonly fields: ReadonlyMap<string, string>
}

export interface WantedSubscription {
  readonly places: Places
  /** By which it is known, where it has no name of its own. */
  readonly id: string | undefined
  readonly name: string | undefined
  readonly tenant: string | null
  /** All that are not secret: null where the file does not speak of one. Secret ones only where it does. */
  readonly options: SubscriptionOptions
  readonly secret: string | undefined
  /** Fields whose values nobody may see. */
  readonly hidden: ReadonlySet<string>
}

export interface WantedEventType {
  readonly places: Places
  readonly name: string
  readonly description: string | null
  readonly schema: unknown
  readonly example: unknown
  readonly deprecated: boolean
}

/** A section that the file does not have is left alone: undefined. */
export interface Configuration {
  readonly subscriptions: readonly WantedSubscription[] | undefined
  readonly eventTypes: readonly WantedEventType[] | undefined
}

/** Errors: `invalid_input`, with file, line and field. */
export function readConfiguration(file: string, text: string, environment: Environment): Configuration {
  const sections = readSections(file, text, ['subscriptions', 'event_types'])
  const subscriptions = sections.subscriptions?.map((entry) => subscriptionOf(entry, environment))
  const eventTypes = sections.event_types?.map(eventTypeOf)
  refuseTwice(subscriptions ?? [], ({ id, name, tenant }) => id ?? `${name} of tenant ${tenant ?? 'none'}`)
  refuseTwice(eventTypes ?? [], ({ name }) => name)
  return { subscriptions, eventTypes }
}

function subscriptionOf(entry: PlacedMap, environment: Environment): WantedSubscription {
  const options: Partial<Record<SubscriptionOption, unknown>> = Object.fromEntries(
    SHOWN_OPTIONS.map((name) => [name, null]),
  )
  const hidden = new Set<string>()
  let secret: string | undefined
  let id: string | undefined
  for (const [field, { namePlace, place, value: written }] of entry.members) {
    const { value, isFromEnvironment, missing } = substituted(written, environment)
    const [unset] = missing
    if (unset !== undefined)
      throw invalidInput(
        `${place}: ${visible(field)} needs ${visible(unset)}, which the environment does not have`,
      )
    if (isFromEnvironment || field === 'secret' || isSecretOption(field)) hidden.add(field)
    if (field === 'secret') secret = textOf(field, value, place)
    else if (field === 'id') id = textOf(field, value, place)?.toLowerCase()
    else if (isSubscriptionOption(field)) options[field] = value
    else throw invalidInput(`${namePlace}: ${visible(field)} is no option of a subscription`)
  }
  const places = placesOf(entry)
  const name = textOf('name', options.name, places.fields.get('name') ?? places.entry)
  if (name === undefined && id === undefined)
    throw invalidInput(`${places.entry}: name is missing, by which the subscription is known`)
  const url = textOf('url', options.url, places.fields.get('url') ?? places.entry)
  const fault = url === undefined ? 'is missing' : urlFault(url)
  if (fault !== undefined) throw invalidInput(`${places.fields.get('url') ?? places.entry}: url ${fault}`)
  options.event_types ??= ['*']
  const tenant = textOf('tenant', options.tenant, places.fields.get('tenant') ?? places.entry) ?? null
  return { places, id, name, tenant, options, secret, hidden }
}

const EVENT_TYPE_FIELDS = ['name', 'description', 'schema', 'example', 'deprecated']

function eventTypeOf(entry: PlacedMap): WantedEventType {
  const places = placesOf(entry)
  for (const [field, { namePlace }] of entry.members)
    if (!EVENT_TYPE_FIELDS.includes(field))
      throw invalidInput(`${namePlace}: ${visible(field)} is no field of an event type`)
  const valueOf = (field: string): unknown => entry.members.get(field)?.value ?? undefined
  const placeOf = (field: string): string => places.fields.get(field) ?? places.entry
  const name = textOf('name', valueOf('name'), placeOf('name'))
  if (name === undefined) throw invalidInput(`${places.entry}: name is missing`)
  const deprecated = valueOf('deprecated') ?? false
  if (typeof deprecated !== 'boolean')
    throw invalidInput(`${placeOf('deprecated')}: deprecated has to be true or false`)
  return {
    places,
    name,
    description: textOf('description', valueOf('description'), placeOf('description')) ?? null,
    schema: valueOf('schema'),
    example: valueOf('example'),
    deprecated,
  }
}

/** Undefined where there is none. */
function textOf(field: string, value: unknown, place: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw invalidInput(
    `${place}: ${visible(field)} has to be a text; in quotes, where YAML takes it for something else`,
  )
}

function placesOf({ place, members }: PlacedMap): Places {
  return { entry: place, fields: new Map([...members].map(([field, member]) => [field, member.place])) }
}

function refuseTwice<Entry extends { readonly places: Places }>(
  entries: readonly Entry[],
  keyOf: (entry: Entry) => string,
): void {
  const seen = new Set<string>()
  for (const entry of entries) {
    const key = keyOf(entry)
    if (seen.has(key)) throw invalidInput(`${entry.places.entry}: ${visible(key)} stands there twice`)
    seen.add(key)
  }
}
