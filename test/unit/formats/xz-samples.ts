/** Bytes that repeat what came before at all distances and in all lengths, and a little that does not repeat. */
export function mixture(): Buffer {
  const bytes = Buffer.alloc(12_000);
  let state = 1;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % limit;
  };
  for (let at = 0; at < bytes.length;) {
    const distance = 1 + random(Math.max(1, at));
    const length = Math.min(1 + random(600), bytes.length - at);
    for (const end = at + length; at < end; at++)
      bytes[at] = at < distance || length < 190 ? random(97) : (bytes[at - distance] ?? 0);
  }
  return bytes;
}

/** The mixture, made by `xz -9 --check=crc32`. */
export const packedMixture = Buffer.from(
  [
    '/Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4C7fBWddAAyKF1hW2gjJQGMUYPVOwj1cbcGV1vRG13FfVQKLqa994Zaar6JQL5Mwl0yfJm5R',
    'D37IkSA49GPQyZqfbuZDWZMrgnC2ceqytxImIvgYuWTWDI5fD4puFwVPVRKWSzVxXJPreS0ezswrrX2l59ZkHk9spBfeSyYV4N0Qbidb',
    'lmauRrX0xhocy/uH1BWz/PEEZoB4Tp+FUXUFvVxiuhKP4Q0LyI/FOzaGiYzvF/HeIXb3RYpDfgolcMCiua1C8D6NISaoSzDv8M2O4fRk',
    'vvOIp0kVoBOAVNEJ2JoW9eGAzjXLKqcAAy2wqS29V3ZbClGh5T9xAGdQwuzmCjUI7YKWvXPJzdODy6JDZx5V2gu0TtJDraG63aTUQmWZ',
    '5iW3knGdI3n5m6BygZf8WDikFZhFpljrJH55J+35a1JAnmgYOfi8NxQeqUP29pt8bZpsoUFZo3HQMyWXONakJBX72SPGsUYLWXwb1h18',
    'LoHK/Vpv2elcGfRrqTow1dF4LJXr0A1rrGyNzHlFo1A6+uT5NpMXMQcSNk81N/dHDvb4d30htY0CAFqVte8OWGYsgDsEi7ptqIinlhjY',
    'xv3c42us/LgutvZOa1nNHb1y3MDwNgbw6v/JsfLfy/rfcHhSFakMmvILFGamtKfZpWH+tVfn6nbIEp+LUjshf+RC9Rlkga8hP+Lyzxcc',
    'jAENtFn3p5x7afdpDogoBO7Fbo8hZJpWynDMjRxzHYy0nFDv/qPpYaDpZnfAjydUJuFyNjgQx0Tibx2WyfE2jn/cxntKvq8D4YV0ymRz',
    'Gaie1EvWWD4Q9ZsChkJyqtec+Ab2+q/Nz/l+xxXJuJi2taYbWPtPIRp9H3/p3EqScetgbKB1MmOo+95KjPAO6SVN3Z8Hb2aWGSRNffRC',
    'bXux8+lW+HN6az/bwcaTyjw/Fsowkdm2wYCsvDnIwJXG5FGmmDqMCya6vMOUB2r9pW5kDI/bY2xSliFcGBYwR2NGOq9QwpY076mByjKS',
    'rjDCG/1zdte2bybolA3KgQPcclAWLU98MZieazx8Tbpm30rYo9ApOopAOUpYDzIH7JJwQe3oX10n57sFIlEXYA+S8AV7M5Rq3eYrriUX',
    'd3u5E1hbaLEVvfVR1lrttkutOm6ZJ3YMzF0woO/fZnuCV2SaTQ3Ee9jdvwWqENAQxC7a671y2EU9A3J5Km4HbEXO4FtEREXk/S7La3sc',
    '1FtuH2Ri50hK0TKQT5zrCMD602JLgrzvEwAMPTgdps7UnluUd0r8oEUBTkH4xO1wUUaELrrRnsrLzk2Yck2NuY+vf66Hqparhh5vSLfu',
    'dntDCLqjycaf065JneiED73JHTp0+F79yWch3dIhuSzSaoWsVNIC3WukoH0bguBAyOzNqh0CfpAMhCImN32619+G50gNm/rJ2/IcYkAH',
    'yaJqWniG2n3PVEdHLxb2n80r8MpOzEHeBi+yYYKXIv3dMe4cZEWbrALyJlTl0tp1Djwb4U+j2TuRAwk80z47Fc7GVNUIYywv4kVX6xIj',
    '3W8kg5hsHQabsrf1dMUUMNn1mgbwhRXooIa7O4XHDQ77XI6CXSbaovY7O9oG74h1uOBKAbmNnejEYi2Z+gpp84hKepQQ8lnZs9x4PaHv',
    '5HpFfty6Z+PiOwN2IjxE/DzJXz51YDqk6iUxzYtXtxh0e4zYXxApTkmRbVLswea34U7veH6B0poEjoNNba+L7xpyhCltW0Tz9mAcLyva',
    'ZCVjCMIXphBI9XujRyuO5zh0PY+XBFaRJ10C+9IT/Pn5bC0JesiBbeq1kgPd7T8BgjrczbHX/4wToQzmx/3xz+jibwaPZ/2uNyikXpAN',
    'rTT2vfPmyNyTfgAA4C4jCAAB/wrgXQAAa5s63z4wDYsCAAAAAAFZWg==',
  ].join(''),
  'base64',
);

/** The same by `xz --check=crc32 --lzma2=lc=0,lp=2,pb=0,dict=4096`. */
export const otherwisePackedMixture = Buffer.from(
  [
    '/Td6WFoAAAFpIt42AgAhAQAAAAA3J5fW4C7fBkYSAAyJklawotZUe/sshnCxzh+o5uXkAm0siH0JEtDwCyqEjt+wHa/nwc1pXjfyvP8r',
    'A+k20B1mdjYHItqAbzB56dboq9iqPcFUAmCBtYVeDtcoRBBBMYtrdd45h35SSQSLHPAc3QvqdgzGJD8bIuvOFWv6fI1JbcA9ordmHu0t',
    '4IA7I8Z/r8mw7QrEut8eepeG6tijhFYwfD4N6UYrBSygguRTSIHesxYbPa86ZrWGaukZKgcmOViMGDndb4a6dwhbgZ8jNoy1UWzdzdrG',
    'm9I99ThUaue4Dv1y46UBIpYfSPkZZsdT86wJB20CiG3TmmsOKpN0TEQk93QeJX5gNxTJHvnKsV7lgdnvP/xwjMokKFsWmRQK3IPeCRmj',
    'zQ7kdmpS3eSJEqpIEWEYcHdketRfgnBroLLMIJDqhVraLUJ0GQtvpo86D67rGaYFjpjZZjZu7EK329BR+XZnYv3dFL9hCfuMlt2Jdo0O',
    'rF/C302DpnCuwe5Ogw3iaVSC8RLh541Bv632Oa28rveyEqYeVx6wSYWknCEzcDPDj6S4lYwBoZ2tA0dwR/ybUz1WkVWtkS7a7QvkXN7Z',
    'M6CVvr66QdcyfhLh03J2XnwnbOjNXJLGHroy2kjVvqdsf1WGfB7mZdixxolffkdREJ5jOPCN9pl4ccQoKC/3RYgfvMtWjsWPHf1hSvba',
    'ttWRqjbV2eoJp1LYqTq/osTy4EmkcJvgyu6GPIInr6HGUqQhck2RSE5OrFE6KDpKJ6he4c6tfK7pxKmSdwF/I22efAKPsfcHuisKjZBx',
    'pUdeD8wfd0DdFOmO6gfXITyfpye6iU9amxGsiBScDD8V2uoA6Pn2eyld7dNXG3OL0Md9B/GhKp6620FjTWbiljJpE8fJtmYmMqsxMxVC',
    'jbiygPQW2L5yym4wmhKgXTF63KUPhqXuPBf1NOi7fnhmr7LskR8/JgftBFM6YIZSl7TBEHRyIbkhEFmlepM6UKT+3Hg9eLNc5nNXP9Jg',
    'cUKBSMR0GZ9dB9NkIdS7KP1+uKqlJms8nne15ZfejKGcqA8xSiWng/weGwKRIq8nyF/m0/VOJdH4fHqDB8d7zXc/4aHJJ8mA3g3Bu8pL',
    'OGt0vmh2EvYKO7mOK+Mu+JIvHHCdkm0H1NCoqjg8e8evZ58VZBMVJhF0OFQoPfrH73C94XLYYyItbNXRfappZ5OnXrha0zjgPia/AMIn',
    '/B3JZplQKTTc83IKos51SFniAPh29wRJKqelUHVYyL/4shKN4mf0iiBL7YKxqaL5/Vd5OvZSzZPXbrqLNbh4wrceQ+gNMTnmJtNUStW5',
    'KlGOHXQPXKOIH53C9gb39QLIF/MEIhEJgkYHA6OVOszZBfi4xIBP4TNwalyUkHbqyRK1eQQZSFWaeTWP7D4gF0snXRqU0kylbRW9dmxN',
    'GfXit5PyCIfBkjf0peiBiCMSrYWobirXMng9HS9oS2qZs3cBB7vVccEttIjaW1Hf1vhMAu12LsYehUNI9cIYLAHRPabiWtr7mGWvFQ1q',
    'Wi5AffMLEjDRLAAifCVU/lIQt8J4F2PxnpSl6mcY9gL1qALIFlWTMpUBI/jP6I9bMHGfxA4w1HBC/gTsgupnXs4uOfeX4LOBs16u/NRH',
    'vYJuKMLcSKbKtA1Ry5gZPXGUSOQNExG4NxRPGcB5OncrwkA07ej39n6ufOVCUmCm9yr3vtGNoYOFqz/m5MoFLtvDiUE6AyewErxxlIDa',
    'B6in/h/RE5m+/WS+WeSbQv5BZ5p5DWsL6iNON5eJg2PIDYzXpmur5d4vtGZAXZPDk7oFw6pp8gRT4G6xxKk+250QTHrswpRH0pDqY4vI',
    'zkcpKu5UnSyAs20jf5oCZXx3QQape3f66+da43ejET7KTJMimpEniVXZhLXNfy1d3p1hvHQNERKtvjegS3VulEvjfppuMUwGNwuiYPQN',
    'akh7VqHXWFYRtTnOloJ0NFpvjp7rwXGbEWF1C1w3M6WHKWL9B+lNr6Q1LgTAhhJtEiwCoGdA+cSnTjKGcadTnrKN5CyF3iHyTPActhz2',
    'iWna5JSX676ktxYVZiolUhZnEOLpdi9WkOgSYk/V+DT6Q993h5vHNqhwPd9HE9LRk8fwdvHjIUCeh0qPrZd2OMR0rFdszvZNn/QRVHIA',
    'AADgLiMIAAHeDOBdAABYuIqcPjANiwIAAAAAAVla',
  ].join(''),
  'base64',
);

/** An xz file whose data stand in it as they are, in pieces of this size. No checksum is right. */
export function storedXz(content: Buffer, pieceSize = 1 << 16): Buffer {
  const header = Buffer.from('fd377a585a000001000000000200210116000000deadbeef', 'hex');
  const pieces: Buffer[] = [header];
  for (let at = 0; at < content.length; at += pieceSize) {
    const piece = content.subarray(at, at + pieceSize);
    const size = piece.length - 1;
    pieces.push(Buffer.from([at === 0 ? 1 : 2, size >> 8, size & 0xff]), piece);
  }
  return Buffer.concat([...pieces, Buffer.from([0])]);
}
