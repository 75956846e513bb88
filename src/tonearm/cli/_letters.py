"""Letters as pixels, 5 wide and 8 high.

By hand because a picture of the light install needs a dozen words, and every renderer of letters is a package with
fonts in it. What has no letter here is written without its accent, or as a question mark.
"""

from __future__ import annotations

import unicodedata

import numpy as np

WIDTH, HEIGHT = 5, 8

# Rows from the top, two digits each, the five low bits from left to right; rows that are left out are empty.
_ROWS = """
A 0e11111f111111 B 1e11111e11111e C 0e11101010110e D 1e11111111111e E 1f10101e10101f F 1f10101e101010
G 0e11101711110f H 1111111f111111 I 0e04040404040e J 0702020202120c K 11121418141211 L 1010101010101f
M 111b1515111111 N 11191513111111 O 0e11111111110e P 1e11111e101010 Q 0e11111115120d R 1e11111e141211
S 0f10100e01011e T 1f040404040404 U 1111111111110e V 11111111110a04 W 11111115151b11 X 11110a040a1111
Y 11110a04040404 Z 1f01020408101f
a 00000e010f110f b 10101e1111111e c 00000e1010110e d 01010f1111110f e 00000e111f100e f 0609081c080808
g 00000f11110f010e h 10101e11111111 i 04000c0404040e j 020006020202120c k 10101214181412 l 0c04040404040e
m 00001a15151515 n 00001e11111111 o 00000e1111110e p 00001e11111e1010 q 00000f11110f0101 r 00001619101010
s 00000f100e011e t 08081c08080906 u 0000111111130d v 00001111110a04 w 0000111115150a x 0000110a040a11
y 00001111110f010e z 00001f0204081f
0 0e11131519110e 1 040c040404040e 2 0e11010608101f 3 0e11010601110e 4 02060a121f0202 5 1f101e0101110e
6 0608101e11110e 7 1f010204080808 8 0e11110e11110e 9 0e11110f01020c
. 00000000000c0c , 0000000000040408 : 000c0c000c0c ; 000c0c000c0408 - 0000001f _ 0000000000001f
% 18190204081303 ( 02040808080402 ) 08040202020408 / 000102040810 & 0c12140815120d ' 0c0408 + 0004041f0404
? 0e110102040004 ! 04040404000004 = 00001f001f # 0a0a1f0a1f0a0a [ 0e08080808080e ] 0e02020202020e
"""
_KNOWN = dict(zip(_ROWS.split()[::2], _ROWS.split()[1::2], strict=True))


def width_of(text: str, size: int = 1) -> int:
    """How many pixels wide a line of text is."""
    return len(_plain(text)) * (WIDTH + 1) * size


def drawn(text: str, size: int = 1) -> np.ndarray:
    """A line of text as a mask of ink, bool, (8 * size, width)."""
    columns = [np.zeros((HEIGHT, 0), bool)]
    for letter in _plain(text):
        rows = bytes.fromhex(_KNOWN.get(letter, "")).ljust(HEIGHT, b"\0")
        bits = np.unpackbits(np.frombuffer(rows, np.uint8)[:, None], axis=1)[:, 3:]
        columns += [bits.astype(bool), np.zeros((HEIGHT, 1), bool)]
    return np.repeat(np.repeat(np.concatenate(columns, axis=1), size, axis=0), size, axis=1)


def _plain(text: str) -> str:
    kept = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if c in _KNOWN or c == " " else "?" for c in kept)
