"""Writes the reference values of reference.txt: python3 reference.py > reference.txt (mpmath 1.3 or later).

A line is a function, its arguments and its value rounded to f64 as bits, and what rounding lost in
units in the last place. With a number N, `python3 reference.py N` writes N points for each function.
"""

import random
import struct
import sys

import mpmath as mp

# Enough for the largest argument of a sine.
PRECISION = 1300
mp.mp.prec = PRECISION


def bits(x):
    return f"{struct.unpack('<Q', struct.pack('<d', x))[0]:016x}"


def wide(low, high):
    """Both signs, all magnitudes between two powers of two."""
    return lambda: random.choice((-1, 1)) * random.uniform(1, 2) * 2.0 ** random.randint(low, high)


def within(low, high):
    return lambda: random.uniform(low, high)


def positive(source):
    return lambda: abs(source())


def phi(k):
    def function(z):
        value = mp.exp(z)
        for i in range(k):
            value = (value - 1 / mp.factorial(i)) / z
        return value

    return function


SMALL = wide(-40, 2)
EXPONENT = within(-745, 710)
FUNCTIONS = {
    "exp": (mp.exp, [within(-2, 2), SMALL, EXPONENT]),
    "expm1": (mp.expm1, [within(-2, 2), SMALL, within(-40, 709)]),
    "phi.1": (phi(1), [within(-3, 3), SMALL, within(-800, 710), wide(2, 100)]),
    "phi.2": (phi(2), [within(-3, 3), SMALL, within(-800, 710)]),
    "phi.3": (phi(3), [within(-4, 4), SMALL, within(-800, 710)]),
    "log": (mp.log, [positive(within(0.4, 2.5)), positive(wide(-1074, 1023))]),
    "log1p": (mp.log1p, [within(-0.99, 2.5), wide(-40, -1), positive(wide(-30, 1023))]),
    "tanh": (mp.tanh, [within(-1, 1), SMALL, within(-20, 20)]),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), [within(-4, 4), within(-40, 40), within(-740, 40)]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [within(-4, 4), within(-40, 40), within(-740, 40)]),
    "sin": (mp.sin, [within(-4, 4), SMALL, within(-2e6, 2e6), wide(0, 1023)]),
    "cos": (mp.cos, [within(-4, 4), SMALL, within(-2e6, 2e6), wide(0, 1023)]),
    "erf": (mp.erf, [within(-3, 3), SMALL, within(-6, 6)]),
    "pow": (mp.power, [positive(within(0.2, 5)), positive(wide(-1022, 1023))]),
}


def main():
    random.seed(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    for name, (function, sources) in FUNCTIONS.items():
        if name == "erf":
            mp.mp.prec = 200
        done = 0
        while done < count:
            args = [random.choice(sources)()]
            if name == "pow":
                span = 700 / max(abs(float(mp.log(args[0]))), 1e-3)
                args.append(random.uniform(-span, span))
            exact = function(*map(mp.mpf, args))
            rounded = float(exact)
            if abs(rounded) < 2.3e-308 or abs(rounded) > 1.7e308:
                continue
            unit = 2.0 ** (mp.frexp(abs(exact))[1] - 53)
            lost = float((exact - mp.mpf(rounded)) / mp.mpf(unit))
            print(name, *map(bits, args), bits(rounded), f"{lost:.3f}")
            done += 1
        mp.mp.prec = PRECISION


main()
