"""Whether pictures are missing in front of a packet of H.264, told by the numbers that its pictures carry.

Where a film pauses they go on, where packets were lost they jump, by ITU-T H.264, 7.4.3; time stamps look the same.
"""

from collections.abc import Iterator

HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)  # say more of their colours; 7.3.2.1.1
SLICE, IDR_SLICE, PARAMETERS = 1, 5, 7  # types of NAL units; table 7-1
START = b"\0\0\1"


class FrameNumbers:
    """Follow the frame numbers of one stream, packet by packet in the order of decoding."""

    def __init__(self, codec_context):
        self._known = codec_context.name == "h264"
        self._length_bytes = 0  # size of the length in front of a NAL unit; 0: it has a start code
        self._bits, self._frames_only = 0, False  # bits of a number, 0: it tells nothing; no picture has two fields
        self._last: int | None = None  # number of the last picture that others need
        extra = bytes(codec_context.extradata or b"") if self._known else b""
        if extra[:1] == b"\1":  # ISO/IEC 14496-15, 5.3.3.1: parameters are inside, with lengths of two bytes
            self._length_bytes = (extra[4] & 3) + 1
            extra = extra[6:]
            self._read_parameters(extra[2 : 2 + int.from_bytes(extra[:2])])
        for unit in _units(extra, 0):
            self._read_parameters(unit)

    def jump(self, packet) -> bool:
        """Whether pictures that this one may need were lost in front of it."""
        if not self._known:
            return False
        for unit in _units(bytes(packet), self._length_bytes):
            kind, needed = unit[0] & 31, unit[0] & 96
            if kind == PARAMETERS:
                self._read_parameters(unit)
            elif kind in (SLICE, IDR_SLICE):
                number = self._number(unit)
                before, self._last = self._last, number if needed or number is None else self._last
                if packet.is_keyframe or number is None or before is None:
                    return False
                step = (number - before) % (1 << self._bits)
                return step > 1 or (step == 0 and self._frames_only)
        return False

    def _number(self, unit: bytes) -> int | None:
        """The frame number of a slice that begins a picture; None where it cannot be read."""
        bits = Bits(unit[1:64])
        try:
            begins, _, _ = bits.exponential() == 0, bits.exponential(), bits.exponential()
            return bits.take(self._bits) if begins and self._bits else None
        except ValueError:
            return None

    def _read_parameters(self, unit: bytes) -> None:
        if unit and unit[0] & 31 == PARAMETERS:
            try:
                self._bits, self._frames_only = _numbering(Bits(unit[1:]))
            except ValueError:
                self._bits = 0


class Bits:
    """The bits of a NAL unit, from the first on; ValueError where there are no more."""

    def __init__(self, unit: bytes):
        plain = unit.replace(b"\0\0\3", b"\0\0")  # the 3 only keeps data from looking like a start code
        self._value, self._left = int.from_bytes(plain), 8 * len(plain)

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise ValueError("no more bits")
        return self._value >> self._left & (1 << count) - 1

    def exponential(self) -> int:
        """The next number in Exp-Golomb code; 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def _numbering(bits: Bits) -> tuple[int, bool]:
    """Length of frame numbers, 0 where they may jump, and whether there are only frames; 7.3.2.1.1."""
    profile, _, _ = bits.take(8), bits.take(16), bits.exponential()
    if profile in HIGH_PROFILES:
        colours = bits.exponential()
        if colours == 3 and bits.take(1):  # each colour is a picture of its own
            return 0, False
        bits.exponential(), bits.exponential(), bits.take(1)
        if bits.take(1):
            for i in range(12 if colours == 3 else 8):
                _skip_scaling(bits, 16 if i < 6 else 64)
    length = bits.exponential() + 4
    order = bits.exponential()
    if order == 0:
        bits.exponential()
    elif order == 1:
        bits.take(1), bits.exponential(), bits.exponential()
        for _ in range(bits.exponential()):
            bits.exponential()
    bits.exponential()
    may_jump = bits.take(1)
    bits.exponential(), bits.exponential()
    return 0 if may_jump else length, bool(bits.take(1))


def _skip_scaling(bits: Bits, count: int) -> None:
    """7.3.2.1.1.1; only whether a step ends the list matters."""
    last = following = 8
    for _ in range(count if bits.take(1) else 0):
        if following:
            code = bits.exponential()
            following = (last + (code + 1) // 2 * (1 if code % 2 else -1)) % 256
        last = following or last


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """NAL units that are not empty."""
    if not length_bytes:
        yield from filter(None, data.split(START)[1:])
        return
    at = 0
    while at + length_bytes < len(data):
        first = at + length_bytes
        at = first + int.from_bytes(data[at:first])
        if at > first:
            yield data[first:at]
