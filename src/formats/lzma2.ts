import { MkimgError } from '../base/errors.ts';

/**
 * Decoder of LZMA2 data (the filter that xz files use), written for looking at the beginning of a file: it stops where its
 * caller has seen enough. Format: LZMA SDK `lzma-specification.txt`, and Linux lib/xz/xz_dec_lzma2.c for the chunks.
 */

const probabilityBits = 11;
const probabilityStart = 1 << (probabilityBits - 1);
const adaptionShift = 5;
const minimumMatch = 2;
const longestMatch = 273;
const lengthLowStates = 16;
const lengthMidOffset = 2 + lengthLowStates * 8;
const lengthHighOffset = lengthMidOffset + lengthLowStates * 8;
const lengthCoderSize = lengthHighOffset + 256;
const distanceModelEnd = 14;

/** Where the probabilities of each kind begin in one array. */
const at = {
  isMatch: 0,
  isRepeat: 192,
  isRepeat0: 204,
  isRepeat1: 216,
  isRepeat2: 228,
  isRepeat0Long: 240,
  distanceSlot: 432,
  distanceSpecial: 688,
  distanceAlign: 816,
  matchLength: 832,
  repeatLength: 832 + lengthCoderSize,
  literal: 832 + 2 * lengthCoderSize,
} as const;
const literalCoderSize = 0x300;
/** LZMA2 allows at most 4 bits of literal context and position together. */
const probabilityCount = at.literal + (literalCoderSize << 4);

export interface Lzma2Decoder {
  /**
   * Decodes until at least `size` bytes are there, or the data ends.
   * @throws MkimgError `bad-xz` for damaged data.
   */
  decodeTo(size: number): Decoded;
}

export interface Decoded {
  /** Everything from the beginning on; valid until the next call. */
  readonly bytes: Buffer;
  /** True when there is no more. */
  readonly isComplete: boolean;
}

/** Decodes the LZMA2 data that begin at `offset`, up to their end marker. */
export function lzma2Decoder(input: Uint8Array, offset: number): Lzma2Decoder {
  const decoder = new Decoder(input, offset);
  return {
    decodeTo(size) {
      decoder.run(size);
      return { bytes: decoder.decoded(), isComplete: decoder.isComplete };
    },
  };
}

class Decoder {
  isComplete = false;
  readonly #input: Uint8Array;
  #position: number;
  #output = new Uint8Array(1 << 15);
  #length = 0;
  /** Where the dictionary begins in the output; -1 before the first reset. */
  #dictionary = -1;
  /** Where the current chunk ends in the output. */
  #chunkEnd = 0;
  #chunkInputEnd = 0;
  #isCopied = false;
  #hasProperties = false;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #state = 0;
  readonly #repeats = new Uint32Array(4);
  readonly #probabilities = new Uint16Array(probabilityCount);
  /** Unsigned numbers of 32 bits, kept as signed ones: those the engine stores without an allocation for each. */
  #range = 0;
  #code = 0;

  constructor(input: Uint8Array, offset: number) {
    this.#input = input;
    this.#position = offset;
  }

  decoded(): Buffer {
    return Buffer.from(this.#output.buffer, 0, this.#length);
  }

  run(size: number): void {
    while (!this.isComplete && this.#length < size) {
      if (this.#length === this.#chunkEnd) {
        this.#startChunk();
        continue;
      }
      const target = Math.min(size, this.#chunkEnd);
      this.#reserve(Math.min(target + longestMatch, this.#chunkEnd));
      if (this.#isCopied) this.#copyInput(target);
      else this.#decodeSymbols(target);
      if (this.#length === this.#chunkEnd) this.#endChunk();
    }
  }

  #startChunk(): void {
    const control = this.#byte();
    if (control === 0) {
      this.isComplete = true;
      return;
    }
    if (control >= 0xe0 || control === 1) this.#dictionary = this.#length;
    if (this.#dictionary < 0) throw damaged();
    if (control >= 0x80) this.#startPackedChunk(control);
    else if (control <= 2) this.#startCopiedChunk();
    else throw damaged();
  }

  #startCopiedChunk(): void {
    this.#isCopied = true;
    const size = this.#short() + 1;
    this.#chunkEnd = this.#length + size;
    this.#chunkInputEnd = this.#position + size;
    if (this.#chunkInputEnd > this.#input.length) throw damaged();
  }

  #startPackedChunk(control: number): void {
    this.#isCopied = false;
    this.#chunkEnd = this.#length + ((control & 0x1f) << 16) + this.#short() + 1;
    const packedSize = this.#short() + 1;
    const hasProperties = control >= 0xc0;
    if (hasProperties) this.#setProperties(this.#byte());
    if (!this.#hasProperties) throw damaged();
    this.#chunkInputEnd = this.#position + packedSize;
    if (this.#chunkInputEnd > this.#input.length || packedSize < 5) throw damaged();
    if (control >= 0xa0) this.#resetState();
    this.#position += 1;
    this.#range = -1;
    this.#code = (this.#byte() << 24) | (this.#byte() << 16) | (this.#byte() << 8) | this.#byte();
  }

  #endChunk(): void {
    if (!this.#isCopied) this.#normalize();
    if (this.#position !== this.#chunkInputEnd) throw damaged();
  }

  #setProperties(byte: number): void {
    const [contextBits, rest] = [byte % 9, Math.floor(byte / 9)];
    const [positionBits, matchPositionBits] = [rest % 5, Math.floor(rest / 5)];
    if (matchPositionBits > 4 || contextBits + positionBits > 4) throw damaged();
    this.#hasProperties = true;
    this.#literalContextBits = contextBits;
    this.#literalPositionMask = (1 << positionBits) - 1;
    this.#positionMask = (1 << matchPositionBits) - 1;
  }

  #resetState(): void {
    this.#state = 0;
    this.#repeats.fill(0);
    this.#probabilities.fill(probabilityStart);
  }

  #byte(): number {
    const byte = this.#input[this.#position++];
    if (byte === undefined) throw damaged();
    return byte;
  }

  #short(): number {
    return (this.#byte() << 8) | this.#byte();
  }

  #reserve(size: number): void {
    if (size <= this.#output.length) return;
    const larger = new Uint8Array(Math.max(size, 2 * this.#output.length));
    larger.set(this.#output.subarray(0, this.#length));
    this.#output = larger;
  }

  #copyInput(target: number): void {
    const count = target - this.#length;
    this.#output.set(this.#input.subarray(this.#position, this.#position + count), this.#length);
    this.#position += count;
    this.#length = target;
  }

  /** Symbols until the output reaches `target`; a match may go on behind it, but not behind the chunk. */
  #decodeSymbols(target: number): void {
    while (this.#length < target) {
      const positionState = (this.#length - this.#dictionary) & this.#positionMask;
      if (this.#bit(at.isMatch + (this.#state << 4) + positionState) === 0) this.#literal();
      else if (this.#bit(at.isRepeat + this.#state) === 0) this.#match(positionState);
      else this.#repeatedMatch(positionState);
      if (this.#position > this.#chunkInputEnd) throw damaged();
    }
  }

  #literal(): void {
    const place = this.#length - this.#dictionary;
    const previous = place === 0 ? 0 : (this.#output[this.#length - 1] ?? 0);
    const bits = this.#literalContextBits;
    const coder = ((place & this.#literalPositionMask) << bits) + (previous >>> (8 - bits));
    const base = at.literal + literalCoderSize * coder;
    const symbol = this.#state < 7 ? this.#tree(base, 8) : this.#matchedLiteral(base);
    this.#output[this.#length++] = symbol;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** After a match, the byte that would have gone on with it tells something about the literal. */
  #matchedLiteral(base: number): number {
    let expected = this.#output[this.#length - 1 - (this.#repeats[0] ?? 0)] ?? 0;
    let symbol = 1;
    let offset = 0x100;
    while (symbol < 0x100) {
      expected <<= 1;
      const expectedBit = expected & offset;
      const bit = this.#bit(base + offset + expectedBit + symbol);
      symbol = (symbol << 1) | bit;
      offset &= bit === 0 ? ~expectedBit : expectedBit;
    }
    return symbol & 0xff;
  }

  #match(positionState: number): void {
    const repeats = this.#repeats;
    repeats.copyWithin(1, 0, 3);
    this.#state = this.#state < 7 ? 7 : 10;
    const length = this.#matchLength(at.matchLength, positionState);
    repeats[0] = this.#distance(Math.min(length - minimumMatch, 3));
    this.#copyMatch(length);
  }

  #repeatedMatch(positionState: number): void {
    const repeats = this.#repeats;
    const state = this.#state;
    if (this.#bit(at.isRepeat0 + state) === 0) {
      if (this.#bit(at.isRepeat0Long + (state << 4) + positionState) === 0) {
        this.#state = state < 7 ? 9 : 11;
        this.#copyMatch(1);
        return;
      }
    } else {
      const index = this.#bit(at.isRepeat1 + state) === 0 ? 1 : 2 + this.#bit(at.isRepeat2 + state);
      const distance = repeats[index] ?? 0;
      repeats.copyWithin(1, 0, index);
      repeats[0] = distance;
    }
    this.#state = state < 7 ? 8 : 11;
    this.#copyMatch(this.#matchLength(at.repeatLength, positionState));
  }

  #matchLength(base: number, positionState: number): number {
    if (this.#bit(base) === 0) return minimumMatch + this.#tree(base + 2 + (positionState << 3), 3);
    if (this.#bit(base + 1) === 0)
      return minimumMatch + 8 + this.#tree(base + lengthMidOffset + (positionState << 3), 3);
    return minimumMatch + 16 + this.#tree(base + lengthHighOffset, 8);
  }

  #distance(lengthState: number): number {
    const slot = this.#tree(at.distanceSlot + (lengthState << 6), 6);
    if (slot < 4) return slot;
    const bits = (slot >>> 1) - 1;
    const high = (2 | (slot & 1)) << bits;
    if (slot < distanceModelEnd) return high + this.#reverseTree(at.distanceSpecial + high - slot, bits);
    const middle = this.#directBits(bits - 4) * 16;
    return ((high >>> 0) + middle + this.#reverseTree(at.distanceAlign, 4)) >>> 0;
  }

  #copyMatch(length: number): void {
    const distance = (this.#repeats[0] ?? 0) + 1;
    const output = this.#output;
    let to = this.#length;
    if (distance > to - this.#dictionary || to + length > this.#chunkEnd) throw damaged();
    for (const end = to + length; to < end; to++) output[to] = output[to - distance] ?? 0;
    this.#length = to;
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let left = bits; left > 0; left--) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let node = 1;
    let symbol = 0;
    for (let place = 0; place < bits; place++) {
      const bit = this.#bit(base + node);
      node = (node << 1) | bit;
      symbol |= bit << place;
    }
    return symbol;
  }

  #directBits(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left--) {
      this.#normalize();
      const range = this.#range >>> 1;
      const code = this.#code >>> 0;
      const bit = code >= range ? 1 : 0;
      if (bit === 1) this.#code = (code - range) | 0;
      this.#range = range | 0;
      value = (value << 1) | bit;
    }
    return value >>> 0;
  }

  #bit(index: number): 0 | 1 {
    this.#normalize();
    const probability = this.#probabilities[index] ?? 0;
    const range = this.#range >>> 0;
    const code = this.#code >>> 0;
    const bound = Math.imul(range >>> probabilityBits, probability) >>> 0;
    if (code < bound) {
      this.#range = bound | 0;
      this.#probabilities[index] = probability + (((1 << probabilityBits) - probability) >>> adaptionShift);
      return 0;
    }
    this.#range = (range - bound) | 0;
    this.#code = (code - bound) | 0;
    this.#probabilities[index] = probability - (probability >>> adaptionShift);
    return 1;
  }

  #normalize(): void {
    if (this.#range >>> 24 !== 0) return;
    this.#range <<= 8;
    this.#code = (this.#code << 8) | (this.#input[this.#position++] ?? 0);
  }
}

function damaged(): MkimgError {
  return new MkimgError('bad-xz', 'damaged LZMA2 data');
}
