"""Whatever form code is written in: what is executed counts, and only that.

Each case is a small package with `run` in a module `m`, and an edit.
"""

import os

import pytest

# ruff: noqa: E501
from metamemory.study.source import digest

BASE = {
    "__init__.py": "",
    "nn/__init__.py": "",
    "nn/aux.py": (
        "SCALE = 1\nOTHER = 5\ndef f(x):\n    return x*SCALE\nclass K:\n    A = 1\n    def m(self):\n        return OTHER\n"
    ),
}
# what is tried: files, the file that is edited, what was there, what is there now
EXECUTED = {
    "what is done when a module is imported and not run": (
        {"m.py": "X = 0\nif __name__ != '__main__':\n    X = 1\ndef run():\n    return X\n"},
        "m.py",
        "X = 1",
        "X = 2",
    ),
    "what is done otherwise when it is run": (
        {"m.py": "X = 0\nif __name__ == '__main__':\n    X = 5\nelse:\n    X = 1\ndef run():\n    return X\n"},
        "m.py",
        "X = 1",
        "X = 2",
    ),
    "relative const": (
        {"m.py": "from .nn.aux import SCALE\ndef run():\n    return SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "two dots": (
        {"sub/__init__.py": "", "sub/m.py": "from ..nn.aux import SCALE as S\ndef run():\n    return S\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "from . import module": (
        {"m.py": "from .nn import aux\ndef run():\n    return aux.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "from .. import nn; nn.aux.X": (
        {"m.py": "from . import nn\nfrom .nn import aux as _\ndef run():\n    return nn.aux.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import pkg.nn.aux dotted": (
        {"m.py": "import pkg.nn.aux\ndef run():\n    return pkg.nn.aux.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import as": (
        {"m.py": "import pkg.nn.aux as a\ndef run():\n    return a.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "alias of module": (
        {"m.py": "import pkg.nn.aux as a\nb = a\ndef run():\n    return b.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "star through init": (
        {
            "lib/__init__.py": "from .c import *\n",
            "lib/c.py": "X = 1\n",
            "m.py": "from .lib import *\ndef run():\n    return X\n",
        },
        "lib/c.py",
        "X = 1",
        "X = 2",
    ),
    "star with computed all": (
        {
            "lib/__init__.py": "from . import c\nfrom .c import *\n__all__ = list(c.__all__)\n",
            "lib/c.py": "__all__ = ['_X']\n_X = 1\n",
            "m.py": "from .lib import *\ndef run():\n    return _X\n",
        },
        "lib/c.py",
        "_X = 1",
        "_X = 2",
    ),
    "all += ": (
        {
            "lib/__init__.py": "from . import c\nfrom .c import *\n__all__ = []\n__all__ += c.__all__\n",
            "lib/c.py": "__all__ = ['_X']\n_X = 1\n",
            "m.py": "from .lib import *\ndef run():\n    return _X\n",
        },
        "lib/c.py",
        "_X = 1",
        "_X = 2",
    ),
    "all.extend": (
        {
            "lib.py": "__all__ = ['A']\n__all__.extend(['_B'])\nA = 1\n_B = 2\n",
            "m.py": "from .lib import *\ndef run():\n    return _B\n",
        },
        "lib.py",
        "_B = 2",
        "_B = 3",
    ),
    "class attr": ({"m.py": "from .nn.aux import K\ndef run():\n    return K.A\n"}, "nn/aux.py", "A = 1", "A = 2"),
    "method global": (
        {"m.py": "from .nn.aux import K\ndef run():\n    return K().m()\n"},
        "nn/aux.py",
        "OTHER = 5",
        "OTHER = 6",
    ),
    "default arg": (
        {"m.py": "from .nn.aux import SCALE\ndef run(x=SCALE):\n    return x\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "kw default": (
        {"m.py": "from .nn.aux import SCALE\ndef run(*, x=SCALE):\n    return x\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "decorator with arg": (
        {"m.py": "from .nn.aux import SCALE, f\n@f(SCALE)\ndef run():\n    return 1\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "class decorator": (
        {"m.py": "from .nn.aux import f\n@f\nclass run:\n    pass\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "computed constant": (
        {"m.py": "from .nn.aux import SCALE\nA = SCALE * 2\nB = A + 1\ndef run():\n    return B\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "dict registry": (
        {"m.py": "from .nn.aux import f\nREG = {'a': f}\ndef run(n):\n    return REG[n]()\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "registry item assignment": (
        {"m.py": "from .nn.aux import f\nREG = {}\nREG['a'] = f\ndef run(n):\n    return REG[n]()\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "registry item assignment in another module, imported": (
        {
            "r.py": "REG = {}\n",
            "fill.py": "from .r import REG\nfrom .nn.aux import f\nREG['a'] = f\n",
            "m.py": "from . import fill\nfrom .r import REG\ndef run(n):\n    return REG[n]()\n",
        },
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "registry update": (
        {"m.py": "from .nn.aux import f\nREG = {}\nREG.update(a=f)\ndef run(n):\n    return REG[n]()\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "setattr at top": (
        {"m.py": "from .nn.aux import K\nsetattr(K,'A',3)\ndef run():\n    return K.A\n"},
        "m.py",
        "3",
        "4",
    ),
    "attr assignment": ({"m.py": "from .nn.aux import K\nK.A = 3\ndef run():\n    return K.A\n"}, "m.py", "3", "4"),
    "module attr assignment": (
        {"m.py": "from .nn import aux\naux.SCALE = 3\ndef run():\n    return aux.f(1)\n"},
        "m.py",
        "3",
        "4",
    ),
    "nested fn": (
        {
            "m.py": "from .nn import aux\ndef run():\n    def g():\n        def h():\n            return aux.f(2)\n        return h\n    return g\n"
        },
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "class body scope skipping": (
        {"m.py": "SCALE = 1\nclass run:\n    SCALE = 2\n    def g(self):\n        return SCALE\n"},
        "m.py",
        "SCALE = 1",
        "SCALE = 5",
    ),
    "if const": (
        {"m.py": "import sys\nX = 1\nif sys.platform:\n    X = 2\ndef run():\n    return X\n"},
        "m.py",
        "X = 2",
        "X = 3",
    ),
    "try import fallback": (
        {
            "m.py": "try:\n    from .nn.aux import SCALE\nexcept ImportError:\n    SCALE = 3\ndef run():\n    return SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "try import module": (
        {
            "m.py": "try:\n    from .nn import aux\nexcept ImportError:\n    aux = None\ndef run():\n    return aux.SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "if import module as": (
        {"m.py": "import sys\nif sys.platform:\n    import pkg.nn.aux as a\ndef run():\n    return a.f(1)\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "try star import": (
        {"m.py": "try:\n    from .nn.aux import *\nexcept ImportError:\n    pass\ndef run():\n    return SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "aug": ({"m.py": "X = 1\nX += 2\ndef run():\n    return X\n"}, "m.py", "+= 2", "+= 3"),
    "aug imported": (
        {"m.py": "from .nn.aux import SCALE\nSCALE += 2\ndef run():\n    return SCALE\n"},
        "m.py",
        "+= 2",
        "+= 3",
    ),
    "aug imported base": (
        {"m.py": "from .nn.aux import SCALE\nSCALE += 2\ndef run():\n    return SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "redefined import": (
        {"m.py": "from .nn.aux import SCALE\nSCALE = SCALE * 2\ndef run():\n    return SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "redefined fn": (
        {"m.py": "from .nn.aux import f\n_f = f\ndef f(x):\n    return _f(x)\ndef run():\n    return f(1)\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "self ref: wrap": (
        {"m.py": "from .nn.aux import f\nf = lambda g=f: g(1)\ndef run():\n    return f()\n"},
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "for loop": ({"m.py": "for i in range(3):\n    X = i\ndef run():\n    return X\n"}, "m.py", "range(3)", "range(4)"),
    "with": (
        {"m.py": "import contextlib\nwith contextlib.suppress(Exception):\n    X = 2\ndef run():\n    return X\n"},
        "m.py",
        "X = 2",
        "X = 3",
    ),
    "del then": ({"m.py": "X = 1\nY = X\ndel X\ndef run():\n    return Y\n"}, "m.py", "X = 1", "X = 3"),
    "walrus": ({"m.py": "if (X := 4):\n    pass\ndef run():\n    return X\n"}, "m.py", "4", "5"),
    "walrus in comprehension": (
        {"m.py": "L = [Z := i for i in range(4)]\ndef run():\n    return Z\n"},
        "m.py",
        "4",
        "5",
    ),
    "match": (
        {"m.py": "match 3:\n    case X:\n        Y = X\ndef run():\n    return Y\n"},
        "m.py",
        "match 3",
        "match 4",
    ),
    "tuple star": ({"m.py": "A, *B = [1, 2, 3]\ndef run():\n    return B\n"}, "m.py", "3]", "4]"),
    "chained": ({"m.py": "A = B = 4\ndef run():\n    return B\n"}, "m.py", "4", "5"),
    "getattr module string": (
        {"m.py": "from .nn import aux\ndef run():\n    return getattr(aux, 'SCALE')\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "getattr name computed": (
        {"m.py": "from .nn import aux\ndef run(n='SCA'):\n    return getattr(aux, n+'LE')\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "vars(module)": (
        {"m.py": "from .nn import aux\ndef run(n='SCA'):\n    return vars(aux)[n]\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "globals": ({"m.py": "X = 1\ndef run(n='X'):\n    return globals()[n]\n"}, "m.py", "X = 1", "X = 2"),
    "globals imported": (
        {"m.py": "from .nn.aux import SCALE\ndef run(n='SCALE'):\n    return globals()[n]\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "eval of a name": ({"m.py": "X = 1\ndef run(n='X'):\n    return eval(n)\n"}, "m.py", "X = 1", "X = 2"),
    "eval str": ({"m.py": "X = 1\ndef run():\n    return eval('X')\n"}, "m.py", "X = 1", "X = 2"),
    "sys.modules": (
        {"m.py": "import sys\nX = 1\ndef run(n='X'):\n    return getattr(sys.modules[__name__], n)\n"},
        "m.py",
        "X = 1",
        "X = 2",
    ),
    "module getattr imported pkg attr": (
        {"m.py": "import pkg.nn\nimport pkg.nn.aux\ndef run():\n    n = pkg.nn\n    return n.aux.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "local alias of module": (
        {"m.py": "from .nn import aux\ndef run():\n    a = aux\n    return a.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import_module relative": (
        {
            "m.py": "from importlib import import_module\ndef run():\n    return import_module('.nn.aux', __package__).SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import_module relative two": (
        {
            "sub/__init__.py": "",
            "sub/m.py": "from importlib import import_module\ndef run():\n    return import_module('..nn.aux', __package__).SCALE\n",
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import_module concat": (
        {
            "m.py": "from importlib import import_module\ndef run():\n    return import_module('pkg.nn.' + 'aux').SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import_module fstring package": (
        {
            "m.py": "from importlib import import_module\ndef run():\n    return import_module(f'{__package__}.nn.aux').SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import_module const": (
        {
            "m.py": "from importlib import import_module\nNAME = 'aux'\ndef run():\n    return import_module(f'pkg.nn.{NAME}').SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "__import__": (
        {"m.py": "def run():\n    return __import__('pkg.nn.aux').nn.aux.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import in function relative": (
        {"m.py": "def run():\n    from .nn.aux import SCALE\n    return SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import in a class": (
        {"m.py": "class run:\n    from .nn.aux import SCALE\n    def g(self):\n        return self.SCALE\n"},
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "import in method used elsewhere": (
        {
            "m.py": "class run:\n    def g(self):\n        from .nn import aux\n        self.a = aux\n    def h(self):\n        return self.a.SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "global import in a function": (
        {
            "m.py": "def load():\n    global SCALE\n    from .nn.aux import SCALE\ndef run():\n    load()\n    return SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "global set in function called at top": (
        {"m.py": "def _init(v):\n    global X\n    X = v\n_init(4)\ndef run():\n    return X\n"},
        "m.py",
        "4",
        "5",
    ),
    "global set by function from default": (
        {"m.py": "X = 0\ndef _init(v=4):\n    global X\n    X = v\n_init()\ndef run():\n    return X\n"},
        "m.py",
        "4",
        "5",
    ),
    "nonlocal": (
        {"m.py": "def run():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n    return x\n"},
        "m.py",
        "x = 2",
        "x = 3",
    ),
    "subclass hook registry": (
        {
            "m.py": "class B:\n    R = {}\n    def __init_subclass__(cls):\n        B.R[cls.__name__] = cls\nclass C(B):\n    v = 4\ndef run():\n    return B.R['C']().v\n"
        },
        "m.py",
        "v = 4",
        "v = 5",
    ),
    "subclasses()": (
        {"m.py": "class B:\n    pass\nclass C(B):\n    v = 4\ndef run():\n    return B.__subclasses__()[0]().v\n"},
        "m.py",
        "v = 4",
        "v = 5",
    ),
    "subclasses in other imported module": (
        {
            "b.py": "class B:\n    pass\n",
            "c.py": "from .b import B\nclass C(B):\n    v = 4\n",
            "m.py": "from .b import B\nfrom . import c as _c\ndef run():\n    return B.__subclasses__()[0]().v\n",
        },
        "c.py",
        "v = 4",
        "v = 5",
    ),
    "metaclass registry": (
        {
            "m.py": "class M(type):\n    R = {}\n    def __init__(cls, n, b, d):\n        M.R[n] = cls\nclass C(metaclass=M):\n    v = 4\ndef run():\n    return M.R['C']().v\n"
        },
        "m.py",
        "v = 4",
        "v = 5",
    ),
    "dataclass field default": (
        {
            "m.py": "from dataclasses import dataclass\nfrom .nn.aux import SCALE\n@dataclass\nclass run:\n    x: int = SCALE\n"
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "dataclass annotation names": (
        {"m.py": "from dataclasses import dataclass\n@dataclass\nclass run:\n    x: int\n    y: float\n"},
        "m.py",
        "    x: int\n    y: float",
        "    y: float\n    x: int",
    ),
    "NamedTuple": (
        {"m.py": "from typing import NamedTuple\nclass run(NamedTuple):\n    x: int = 4\n"},
        "m.py",
        "4",
        "5",
    ),
    "enum": ({"m.py": "import enum\nclass run(enum.Enum):\n    A = 4\n"}, "m.py", "4", "5"),
    "functools partial": (
        {
            "m.py": "from functools import partial\nfrom .nn.aux import f\ng = partial(f, 3)\ndef run():\n    return g()\n"
        },
        "nn/aux.py",
        "x*SCALE",
        "x+SCALE",
    ),
    "lambda": ({"m.py": "g = lambda x: x + 4\ndef run():\n    return g(1)\n"}, "m.py", "4", "5"),
    "generic alias class var in string annotation": (
        {"m.py": "X: 'int' = 4\ndef run():\n    return X\n"},
        "m.py",
        "4",
        "5",
    ),
    "__all__ used as data": (
        {
            "lib.py": "__all__ = ['A', 'B']\nA = 1\nB = 2\n",
            "m.py": "from . import lib\ndef run():\n    return [getattr(lib, n) for n in lib.__all__]\n",
        },
        "lib.py",
        "'A', 'B'",
        "'B', 'A'",
    ),
    "pkg __getattr__": (
        {
            "lib/__init__.py": "def __getattr__(n):\n    from .c import X\n    return X\n",
            "lib/c.py": "X = 4\n",
            "m.py": "from .lib import Y\ndef run():\n    return Y\n",
        },
        "lib/c.py",
        "4",
        "5",
    ),
    "pkg attr via init constant": (
        {
            "lib/__init__.py": "from .c import X\n",
            "lib/c.py": "X = 4\n",
            "m.py": "from . import lib\ndef run():\n    return lib.X\n",
        },
        "lib/c.py",
        "4",
        "5",
    ),
    "init re-export renamed twice": (
        {
            "lib/__init__.py": "from .c import Y as Z\n",
            "lib/c.py": "from ..nn.aux import SCALE as Y\n",
            "m.py": "from .lib import Z\ndef run():\n    return Z\n",
        },
        "nn/aux.py",
        "SCALE = 1",
        "SCALE = -1",
    ),
    "init assignment": (
        {
            "lib/__init__.py": "from . import c\nX = c.X + 1\n",
            "lib/c.py": "X = 4\n",
            "m.py": "from .lib import X\ndef run():\n    return X\n",
        },
        "lib/c.py",
        "4",
        "5",
    ),
    "name shadows submodule": (
        {
            "lib/__init__.py": "from .c import c\n",
            "lib/c.py": "def c():\n    return 4\n",
            "m.py": "from .lib import c\ndef run():\n    return c()\n",
        },
        "lib/c.py",
        "4",
        "5",
    ),
    "side effect of imported pkg init": (
        {
            "lib/__init__.py": "import torch\ntorch.set_num_threads(4)\n",
            "lib/c.py": "X = 1\n",
            "m.py": "from .lib.c import X\ndef run():\n    return X\n",
        },
        "lib/__init__.py",
        "4",
        "5",
    ),
    "monkeypatch external": ({"m.py": "import math\nmath.x = 4\ndef run():\n    return math.x\n"}, "m.py", "4", "5"),
    "module imported for its effect": (
        {
            "s.py": "import math\nmath.x = 4\n",
            "m.py": "from . import s\ndef run():\n    import math\n    return math.x\n",
        },
        "s.py",
        "4",
        "5",
    ),
    "side-effect call bound: X = register()": (
        {
            "s.py": "REG = {}\ndef register(v):\n    REG['x'] = v\n    return v\nX = register(4)\n",
            "m.py": "from .s import REG\ndef run():\n    return REG['x']\n",
        },
        "s.py",
        "register(4)",
        "register(5)",
    ),
    "side effect in assignment other module": (
        {
            "r.py": "REG = {}\ndef register(v):\n    REG['x'] = v\n",
            "s.py": "from .r import register\n_ = register(4)\n",
            "m.py": "from . import s\nfrom .r import REG\ndef run():\n    return REG['x']\n",
        },
        "s.py",
        "register(4)",
        "register(5)",
    ),
    "assigned torch setting": (
        {"s.py": "import torch\n_ = torch.set_num_threads(4)\n", "m.py": "from . import s\ndef run():\n    return 1\n"},
        "s.py",
        "4",
        "5",
    ),
    "registry by list pop": (
        {"m.py": "L = [1,2,3]\nlast = L.pop()\ndef run():\n    return L\n"},
        "m.py",
        "L.pop()",
        "L.pop(0)",
    ),
    "side effect in default arg of other def": (
        {"m.py": "L = []\ndef g(x=L.append(4)):\n    return x\ndef run():\n    return L\n"},
        "m.py",
        "append(4)",
        "append(5)",
    ),
    "side effect in class body": (
        {"m.py": "L = []\nclass C:\n    L.append(4)\ndef run():\n    return L\n"},
        "m.py",
        "append(4)",
        "append(5)",
    ),
    "decorator that registers": (
        {
            "m.py": "REG = {}\ndef reg(f):\n    REG['a'] = f\n    return f\n@reg\ndef g():\n    return 4\ndef run():\n    return REG['a']()\n"
        },
        "m.py",
        "return 4",
        "return 5",
    ),
    "decorator by attribute of an object": (
        {
            "m.py": "class R:\n    def __init__(self):\n        self.d = {}\n    def add(self, f):\n        self.d['a'] = f\n        return f\nR0 = R()\n@R0.add\ndef g():\n    return 4\ndef run():\n    return R0.d['a']()\n"
        },
        "m.py",
        "return 4",
        "return 5",
    ),
    "decorator subscripted / call of call": (
        {
            "m.py": "REG = {}\ndef reg(n):\n    def h(f):\n        REG[n] = f\n        return f\n    return h\nD = [reg]\n@D[0]('a')\ndef g():\n    return 4\ndef run():\n    return REG['a']()\n"
        },
        "m.py",
        "return 4",
        "return 5",
    ),
    "singledispatch register": (
        {
            "m.py": "from functools import singledispatch\n@singledispatch\ndef run(x):\n    return 1\n@run.register\ndef _(x: int):\n    return 4\n"
        },
        "m.py",
        "return 4",
        "return 5",
    ),
    "singledispatch register annotation type": (
        {
            "m.py": "from functools import singledispatch\n@singledispatch\ndef run(x):\n    return 1\n@run.register\ndef _(x: int):\n    return 4\n"
        },
        "m.py",
        "x: int",
        "x: float",
    ),
    "property setter order": (
        {
            "m.py": "class run:\n    @property\n    def a(self):\n        return 4\n    @a.setter\n    def a(self, v):\n        self.b = 5\n"
        },
        "m.py",
        "self.b = 5",
        "self.b = 6",
    ),
    "nested class attr": (
        {"m.py": "class run:\n    class C:\n        v = 4\n    def g(self):\n        return self.C.v\n"},
        "m.py",
        "v = 4",
        "v = 5",
    ),
    "order in a class body": (
        {"m.py": "class run:\n    a = 1\n    a = 2\n"},
        "m.py",
        "a = 1\n    a = 2",
        "a = 2\n    a = 1",
    ),
    "order of definition and effect in one module": (
        {"m.py": "X = [1]\nX.append(2)\nX.append(X[0])\ndef run():\n    return X\n"},
        "m.py",
        "X.append(2)\nX.append(X[0])",
        "X.append(X[0])\nX.append(2)",
    ),
    "order of constants dependent": (
        {"m.py": "A = 1\nB = A\nA = 2\ndef run():\n    return B\n"},
        "m.py",
        "B = A\nA = 2",
        "A = 2\nB = A",
    ),
    "order of aug and use": (
        {"m.py": "A = 1\nB = A\nA += 2\ndef run():\n    return B\n"},
        "m.py",
        "B = A\nA += 2",
        "A += 2\nB = A",
    ),
    "default captured before reassign": (
        {"m.py": "A = 1\ndef run(x=A):\n    return x\nA = 2\n"},
        "m.py",
        "def run(x=A):\n    return x\nA = 2",
        "A = 2\ndef run(x=A):\n    return x",
    ),
    "if order": (
        {"m.py": "A = 1\nif A == 1:\n    B = 3\nelse:\n    B = 4\nA = 2\ndef run():\n    return B\n"},
        "m.py",
        "A = 1\nif A == 1:\n    B = 3\nelse:\n    B = 4\nA = 2",
        "A = 1\nA = 2\nif A == 1:\n    B = 3\nelse:\n    B = 4",
    ),
    "float vs int const": ({"m.py": "A = 1\ndef run():\n    return A\n"}, "m.py", "A = 1", "A = 1.0"),
    "bool vs int const": ({"m.py": "A = 1\ndef run():\n    return A\n"}, "m.py", "A = 1", "A = True"),
    "-0.0": ({"m.py": "A = 0.0\ndef run():\n    return A\n"}, "m.py", "A = 0.0", "A = -0.0"),
    "bytes vs str": ({"m.py": "A = 'a'\ndef run():\n    return A\n"}, "m.py", "'a'", "b'a'"),
    "op": ({"m.py": "def run(a,b):\n    return a+b\n"}, "m.py", "a+b", "a-b"),
    "arg order": ({"m.py": "def run(a,b):\n    return a-b\n"}, "m.py", "a,b", "b,a"),
    "arg kind": ({"m.py": "def run(a,b):\n    return a-b\n"}, "m.py", "a,b", "a,*,b"),
    "keyword": ({"m.py": "def run(a,b):\n    return a(x=b)\n"}, "m.py", "x=b", "y=b"),
    "keyword star": ({"m.py": "def run(a,b):\n    return a(*b)\n"}, "m.py", "*b", "**b"),
    "global name swap": (
        {"m.py": "def g():\n    return 1\ndef h():\n    return 2\ndef run():\n    return g()-h()\n"},
        "m.py",
        "g()-h()",
        "h()-g()",
    ),
    "attribute rename external": (
        {"m.py": "import math\ndef run():\n    return math.sin\n"},
        "m.py",
        "math.sin",
        "math.cos",
    ),
    "import external from": (
        {"m.py": "from math import sin\ndef run():\n    return sin\n"},
        "m.py",
        "import sin",
        "import cos as sin",
    ),
    "import external in fn": (
        {"m.py": "def run():\n    from math import sin\n    return sin\n"},
        "m.py",
        "import sin",
        "import cos as sin",
    ),
    "external import in try": (
        {"m.py": "try:\n    from math import sin\nexcept ImportError:\n    sin = None\ndef run():\n    return sin\n"},
        "m.py",
        "import sin",
        "import cos as sin",
    ),
    "external star": ({"m.py": "from math import *\ndef run():\n    return e\n"}, "m.py", "from math", "from cmath"),
    "built-in shadowed by external star": (
        {"m.py": "from math import *\ndef run():\n    return pow(2,3)\n"},
        "m.py",
        "from math import *\n",
        "",
    ),
    "async": ({"m.py": "async def run():\n    return 1\n"}, "m.py", "return 1", "return 2"),
    "type alias used": ({"m.py": "T = list[int]\ndef run():\n    return T\n"}, "m.py", "list[int]", "list[str]"),
    "named c file via Path": (
        {
            "k.c": "int x = 1;\n",
            "m.py": "from pathlib import Path\ndef run():\n    return Path(__file__).with_name('k.c')\n",
        },
        "k.c",
        "1",
        "2",
    ),
    "named c in a subfolder": (
        {
            "csrc/k.c": "int x = 1;\n",
            "m.py": "from pathlib import Path\ndef run():\n    return Path(__file__).parent / 'csrc' / 'k.c'\n",
        },
        "csrc/k.c",
        "1",
        "2",
    ),
    "c include <> / chain": (
        {
            "k.c": '#include "a.h"\n',
            "a.h": '#include "b.h"\n',
            "b.h": "#define X 1\n",
            "m.py": "def run():\n    return 'k'\n",
        },
        "b.h",
        "X 1",
        "X 2",
    ),
    "c whitespace in string": (
        {"k.c": 'char *x = "a  b"; int y;\n', "m.py": "def run():\n    return 'k'\n"},
        "k.c",
        "a  b",
        "a b",
    ),
    "json beside": (
        {
            "k.json": "[1]\n",
            "m.py": "from pathlib import Path\nimport json\ndef run():\n    return json.loads((Path(__file__).parent / 'k.json').read_text(encoding='utf-8'))\n",
        },
        "k.json",
        "1",
        "2",
    ),
    "a table beside": (
        {
            "k.csv": "a,b\n1,3\n",
            "m.py": "from pathlib import Path\ndef run():\n    return Path(__file__).with_name('k.csv').read_bytes()\n",
        },
        "k.csv",
        "1",
        "2",
    ),
    "a text in a folder beside": (
        {
            "lists/k.v2.txt": "1 // 3\n",
            "m.py": "from pathlib import Path\ndef run(of=Path(__file__).parent / 'lists' / 'k.v2.txt'):\n    return of\n",
        },
        "lists/k.v2.txt",
        "3",
        "4",
    ),
    "cuda source": (
        {
            "k.cu": "int x = 1;\n",
            "m.py": "from pathlib import Path\ndef run():\n    return Path(__file__).with_name('k.cu')\n",
        },
        "k.cu",
        "1",
        "2",
    ),
}
NOT_EXECUTED = {
    "hidden by a local name of an outer function": (
        {"m.py": "SCALE = 1\ndef run():\n    SCALE = 3\n    def g():\n        return SCALE\n    return g\n"},
        "m.py",
        "SCALE = 1",
        "SCALE = 2",
    ),
    "a constant that only another one needs": (
        {"m.py": "A = 1\nB = A + 1\ndef run():\n    return 1\n"},
        "m.py",
        "A = 1",
        "A = 2",
    ),
    "a pure call beside": (
        {"m.py": "import re\nA = re.compile('a')\nB = frozenset({1})\nC = sorted([2])\ndef run():\n    return 1\n"},
        "m.py",
        "'a'",
        "'b'",
    ),
    "a function of the package that writes to its own only": (
        {
            "m.py": "def of(n):\n    found = {}\n    found[n] = 1\n    found.update(b=2)\n    return found\nA = of(3)\ndef run():\n    return 1\n"
        },
        "m.py",
        "of(3)",
        "of(4)",
    ),
    "a dataclass beside": (
        {
            "m.py": "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    x: list = field(default_factory=list)\n    y: int = 1\nB = A([2])\ndef run():\n    return 1\n"
        },
        "m.py",
        "A([2])",
        "A([3])",
    ),
    "a property and its setter beside": (
        {
            "m.py": "class A:\n    @property\n    def a(self):\n        return 1\n    @a.setter\n    def a(self, v):\n        self.b = 2\ndef run():\n    return 1\n"
        },
        "m.py",
        "self.b = 2",
        "self.b = 3",
    ),
    "a class with a base that registers nothing": (
        {
            "m.py": "class B:\n    def __init_subclass__(cls):\n        cls.name = cls.__name__\nclass A(B):\n    v = 1\ndef run():\n    return 1\n"
        },
        "m.py",
        "v = 1",
        "v = 2",
    ),
    "another order of what is read later": (
        {"m.py": "def run():\n    return A\nA = 1\nB = 2\n"},
        "m.py",
        "A = 1\nB = 2",
        "B = 2\nA = 1",
    ),
    "what the last import of a name hides": (
        {
            "a.py": "X = 1\n",
            "b.py": "X = 2\n",
            "m.py": "from .a import *\nfrom .b import *\ndef run():\n    return X\n",
        },
        "a.py",
        "X = 1",
        "X = 3",
    ),
}


# what only refuses, which counts, and is left out on demand
ERRORS = "class UserError(Exception):\n    pass\n"
REFUSALS = (
    "def check(n):\n    if n < 1:\n        raise ValueError\nclass Checked:\n    def __new__(cls):\n        cls.n = 1\n"
)
GUARDED = {"errors.py": ERRORS, "m.py": "from pkg.errors import UserError\ndef run(n):\n    return n\n"}
REFUSING = {
    "a guard": (
        GUARDED,
        "m.py",
        "    return n",
        "    if n < 1 or not isinstance(n, int):\n        raise UserError(f'{n} is none')\n    return n",
    ),
    "a guard in two parts": (
        GUARDED,
        "m.py",
        "    return n",
        "    if len(n) < 1:\n        raise UserError\n    elif n.dim() > 2:\n        raise UserError\n    return n",
    ),
    "a guard that puts its message together": (
        GUARDED,
        "m.py",
        "    return n",
        "    if n < 1:\n        told = list(n)\n        raise UserError(told)\n    return n",
    ),
    "a condition under which something refuses": (
        {"refusals.py": REFUSALS, "m.py": "from pkg.refusals import check\ndef run(n):\n    return n\n"},
        "m.py",
        "    return n",
        "    if isinstance(n, int):\n        check(n)\n    return n",
    ),
    "what a guard asks": (
        {
            "errors.py": ERRORS,
            "m.py": "import pkg.errors as e\ndef run(n):\n    if n < 1:\n        raise e.UserError(1)\n",
        },
        "m.py",
        "n < 1",
        "n < 2",
    ),
    "a call of what refuses": (
        {"refusals.py": REFUSALS, "m.py": "from pkg.refusals import check\ndef run(n):\n    return n\n"},
        "m.py",
        "    return n",
        "    check(n)\n    return n",
    ),
    "a base that refuses": (
        {
            "refusals.py": REFUSALS,
            "m.py": "from pkg.refusals import Checked\nclass A:\n    v = 1\ndef run(n):\n    return A\n",
        },
        "m.py",
        "class A:",
        "class A(Checked):",
    ),
    "a decorator that refuses": (
        {"refusals.py": REFUSALS, "m.py": "from pkg import refusals\ndef run(n):\n    return 1\n"},
        "m.py",
        "def run",
        "@refusals.Checked\ndef run",
    ),
    "what refuses": (
        {"refusals.py": REFUSALS, "m.py": "from pkg.refusals import check\ndef run(n):\n    check(n)\n    return n\n"},
        "refusals.py",
        "n < 1",
        "n < 2",
    ),
}
# what looks like a guard, and does something
ACTING = {
    name: (GUARDED, "m.py", "    return n", f"    {text}\n    return n")
    for name, text in {
        "a guard that draws": "if rand() > 1:\n        raise UserError",
        "a guard that calls a function of the package": "if run(0):\n        raise UserError",
        "a guard that calls a method that is not known": "if n.pop():\n        raise UserError",
        "a guard that binds": "if (n := 2) < 1:\n        raise UserError",
        "a guard that writes": "if n < 1:\n        n.told = 1\n        raise UserError",
        "a guard that goes on otherwise": "if n < 1:\n        raise UserError\n    else:\n        n = 1",
        "another error, which may be caught": "if n < 1:\n        raise ValueError",
        "an error in the way": "raise UserError",
        "a built-in name that is another": "len = n.pop\n    if len():\n        raise UserError",
    }.items()
}
ACTING["a value of what refuses"] = (
    {"refusals.py": REFUSALS, "m.py": "from pkg.refusals import check\ndef run(n):\n    return check(n)\n"},
    "refusals.py",
    "n < 1",
    "n < 2",
)


def changed(folder, files, name, old, new, **how):
    """Whether the digest changes where `old` becomes `new` in a file."""
    for each, text in {**BASE, **files}.items():
        path = folder / "pkg" / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    roots = [("pkg.sub.m" if "sub/m.py" in files else "pkg.m", "run")]
    before = digest(roots, folder / "pkg", **how)
    path = folder / "pkg" / name
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    os.utime(path, ns=(1, 1))  # two writes can have the same time
    return digest(roots, folder / "pkg", **how) != before


@pytest.mark.parametrize("case", EXECUTED)
def test_what_is_executed_counts(tmp_path, case):
    assert changed(tmp_path, *EXECUTED[case])


@pytest.mark.parametrize("case", NOT_EXECUTED)
def test_what_is_not_executed_does_not(tmp_path, case):
    assert not changed(tmp_path, *NOT_EXECUTED[case])


@pytest.mark.parametrize("case", REFUSING)
def test_what_only_refuses_counts_and_is_left_out_on_demand(tmp_path, case):
    assert changed(tmp_path, *REFUSING[case])
    assert not changed(tmp_path / "left_out", *REFUSING[case], but_refusals=True)


@pytest.mark.parametrize("case", ACTING)
def test_what_does_more_than_to_refuse_is_never_left_out(tmp_path, case):
    assert changed(tmp_path, *ACTING[case], but_refusals=True)
