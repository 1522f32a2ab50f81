/** What the small guest does after it has written its text. */
export type BootSectorEnd = 'power-off' | 'reset' | 'hang';

const endings: Readonly<Record<BootSectorEnd, readonly number[]>> = {
  // mov dx,0x604; mov ax,0x2000; out dx,ax: sleep state S5 in the PM1 control register, where SeaBIOS puts it on Q35.
  'power-off': [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef],
  // mov dx,0xcf9; mov al,6; out dx,al: the chipset's reset control.
  reset: [0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee],
  hang: [],
};

/**
 * A disk image whose boot sector writes a text to the first serial port: the smallest guest that boots. The text may
 * have about 440 bytes.
 */
export function bootSector(text: string, end: BootSectorEnd): Buffer {
  const ending = [...endings[end], 0xfa, 0xf4, 0xeb, 0xfd]; // cli; hlt; jmp to hlt
  const codeLength = 19;
  const message = 0x7c00 + codeLength + ending.length;
  const code = [
    [0x31, 0xc0, 0x8e, 0xd8, 0xfc], // xor ax,ax; mov ds,ax; cld
    [0xbe, message & 0xff, message >> 8], // mov si,message
    [0xba, 0xf8, 0x03], // mov dx,0x3f8
    [0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8], // next: lodsb; test al,al; jz end; out dx,al; jmp next
  ].flat();
  const image = Buffer.alloc(1024 * 1024);
  image.set([...code, ...ending]);
  image.write(`${text}\0`, codeLength + ending.length, 510 - codeLength - ending.length, 'latin1');
  image.writeUInt16LE(0xaa55, 510);
  return image;
}
