import { Dek } from '../stream/dek.ts'
import type { Envelope } from './envelope.ts'
import type { IntermediateKeys } from './intermediate-keys.ts'
import type { BodyLayout, ObjectPlace } from './place.ts'
import { openDek, sealDek } from './sealed-dek.ts'

/** A DEK beside the envelope that carries it. The caller destroys the DEK after use. */
export interface ObjectKey {
  readonly dek: Dek
  readonly envelope: Envelope
}

/** Makes and opens the data keys of objects. All methods throw KeyProviderError. */
export class ObjectKeys {
  readonly #iks: IntermediateKeys

  constructor(iks: IntermediateKeys) {
    this.#iks = iks
  }

  /** A fresh DEK for a new object or multipart upload. */
  async create(place: ObjectPlace, layout: BodyLayout): Promise<ObjectKey> {
    const dek = Dek.generate()
    return { dek, envelope: await this.reseal(dek, place, layout) }
  }

  /** An envelope that carries the given DEK for another place. */
  reseal(dek: Dek, place: ObjectPlace, layout: BodyLayout): Promise<Envelope> {
    return this.#iks.withSealingKey(place.bucket, (ik, wrapped) => ({
      layout,
      kek: wrapped.kek,
      kekVersion: wrapped.kekVersion,
      wrappedIk: wrapped.wrappedIk,
      sealedDek: sealDek(ik, dek, { ...place, layout }),
    }))
  }

  /** The DEK of an object at this place. Throws IntegrityError if the envelope is of another. */
  open(place: ObjectPlace, envelope: Envelope): Promise<Dek> {
    return this.#iks.withOpenedKey(place.bucket, envelope, (ik) =>
      openDek(ik, envelope.sealedDek, { ...place, layout: envelope.layout }),
    )
  }
}
