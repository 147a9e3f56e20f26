"""Things in a street: cars, lamps and people, somewhere else in every photo."""

from __future__ import annotations

import numpy as np

from gair.arrays import Floats32
from training.synthetic.compiled import compiled, inlined
from training.synthetic.street.eye import LAMP_RGB, Eye
from training.synthetic.street.grain import chance
from training.synthetic.street.light import Light
from training.synthetic.street.stage import Stage
from training.synthetic.street.terrain import kerb_at, relief_at
from training.synthetic.world import PARKING, PIXEL_M, PLAZA, ROAD, SIDEWALK

CAR, LAMP, PERSON = 1, 2, 3
KIND, AT_X, AT_Y, AT_Z, TURN_COS, TURN_SIN, LENGTH, HIGH, RED, GREEN, BLUE = range(11)
"""Columns of a thing."""
_TRIES = 140
_MOST = 40


@compiled
def scatter(stage: Stage, eye: Eye, wide: float, word: int) -> Floats32:
    """Strew cars at kerbs, in lanes and in car parks, lamps and people on pavements.

    Args:
        stage: the world.
        eye: the camera.
        wide: how far aside the picture shows for each metre of depth.
        word: a hash of the photo.

    Returns:
        (T, 12) before the camera.
    """
    things = np.zeros((_MOST, 12), np.float32)
    count = 0
    cars, lamps, people = 0, 0, 0
    busy = chance(word, 1)
    most_cars, most_people = int(7 * busy), int(4 * chance(word, 2) ** 2)
    last = stage.floor.shape[0] - 1
    for one in range(_TRIES):
        if count >= _MOST - 1:
            break
        key = 16 * one + 100
        t = 5.0 * (12.0 ** chance(word, key))
        aside = (2 * chance(word, key + 1) - 1) * (t * wide + 1.0)
        x = eye.x + eye.forward_x * t - eye.forward_y * aside
        y = eye.y + eye.forward_y * t + eye.forward_x * aside
        row, column = int(y / PIXEL_M), int(x / PIXEL_M)
        if row < 2 or column < 2 or row > last - 2 or column > last - 2:
            continue
        kind = stage.floor[row, column]
        turn = stage.axis[row, column]
        cos, sin = float(stage.turns[turn, 0]), float(stage.turns[turn, 1])
        kerb = kerb_at(stage.kerb, x, y)
        # Away from the kerb, into the carriageway, across the street's direction.
        one_side, other = (
            kerb_at(stage.kerb, x - sin, y + cos),
            kerb_at(stage.kerb, x + sin, y - cos),
        )
        inward = 1.0 if one_side > other else -1.0
        chosen = 0
        if kind == ROAD and kerb > 0.2 and cars < most_cars:
            chosen = CAR
            drives = chance(word, key + 2) < 0.25
            move = 1.15 - kerb
            if drives:
                move = 2.9 - kerb
                if kerb < 1.5:
                    continue
            elif kerb > 2.6:
                continue
            x, y = x - sin * inward * move, y + cos * inward * move
        elif kind == PARKING and cars < most_cars:
            chosen = CAR
            cos, sin = -sin, cos
        elif (kind == SIDEWALK or kind == PLAZA) and people < most_people:
            if chance(word, key + 3) < 0.5:
                chosen = PERSON
        if chosen == 0 and kind == SIDEWALK and lamps < 7 and -1.6 < kerb < -0.05:
            chosen = LAMP
            move = -0.5 - kerb
            x, y = x - sin * inward * move, y + cos * inward * move
        if chosen == 0:
            continue
        ox, oy = x - eye.x, y - eye.y
        t = ox * eye.forward_x + oy * eye.forward_y
        if t < (3.5 if chosen == PERSON else 6.0):
            continue
        crowded = False
        for other_one in range(count):
            gap = 5.4 if chosen == CAR else (9.0 if chosen == LAMP else 0.8)
            far = (things[other_one, AT_X] - x) ** 2 + (things[other_one, AT_Y] - y) ** 2
            if things[other_one, KIND] == chosen and far < gap * gap:
                crowded = True
        if crowded:
            continue
        thing = things[count]
        thing[KIND], thing[AT_X], thing[AT_Y] = chosen, x, y
        thing[AT_Z], thing[TURN_COS], thing[TURN_SIN] = relief_at(stage, x, y), cos, sin
        if chosen == CAR:
            cars += 1
            thing[LENGTH] = 3.7 + 1.1 * chance(word, key + 4)
            thing[HIGH] = 1.42 + 0.35 * chance(word, key + 5) ** 3
            if chance(word, key + 6) < 0.07:
                thing[LENGTH], thing[HIGH] = 5.6, 2.4
            value = 0.06 + 0.84 * chance(word, key + 7)
            thing[RED], thing[GREEN], thing[BLUE] = value, value, value
            if chance(word, key + 8) < 0.4:
                thing[RED] = 0.10 + 0.6 * chance(word, key + 9)
                thing[GREEN] = 0.08 + 0.4 * chance(word, key + 10)
                thing[BLUE] = 0.10 + 0.6 * chance(word, key + 11)
        elif chosen == LAMP:
            lamps += 1
            thing[LENGTH], thing[HIGH] = 0.9 * inward, 5.5 + 2.5 * chance(word, 77)
        else:
            people += 1
            thing[HIGH] = 1.55 + 0.35 * chance(word, key + 4)
            thing[RED] = 0.08 + 0.7 * chance(word, key + 5)
            thing[GREEN] = 0.08 + 0.6 * chance(word, key + 6)
            thing[BLUE] = 0.08 + 0.7 * chance(word, key + 7)
        count += 1
    return things[:count]


@inlined
def _blend(
    light: Light,
    row: int,
    red: float,
    green: float,
    blue: float,
    facing: float,
    clear: float,
    rgb: Floats32,
) -> None:
    """Light a colour and put it into a row."""
    amb, sun, haze = light.ambient_rgb, light.direct_rgb, light.haze_rgb
    lamp = 0.5 * light.night
    red *= amb[0] + sun[0] * facing + LAMP_RGB[0] * lamp
    green *= amb[1] + sun[1] * facing + LAMP_RGB[1] * lamp
    blue *= amb[2] + sun[2] * facing + LAMP_RGB[2] * lamp
    rgb[row, 0] = red * clear + haze[0] * (1 - clear)
    rgb[row, 1] = green * clear + haze[1] * (1 - clear)
    rgb[row, 2] = blue * clear + haze[2] * (1 - clear)


@inlined
def _box(
    ox: float, oy: float, dx: float, dy: float, cos: float, sin: float, half_u: float, half_v: float
) -> tuple[float, float, float, float, float]:
    """Where a ray enters and leaves a box: depths, how its wall faces (u, v), place along it."""
    u, v = ox * cos + oy * sin, oy * cos - ox * sin
    du, dv = dx * cos + dy * sin, dy * cos - dx * sin
    du = du if abs(du) > 1e-7 else 1e-7
    dv = dv if abs(dv) > 1e-7 else 1e-7
    u1, u2 = (-half_u - u) / du, (half_u - u) / du
    v1, v2 = (-half_v - v) / dv, (half_v - v) / dv
    enter_u, enter_v = min(u1, u2), min(v1, v2)
    leave = min(max(u1, u2), max(v1, v2))
    if enter_u > enter_v:
        return enter_u, leave, -np.sign(du), 0.0, (v + dv * enter_u) / half_v
    return enter_v, leave, 0.0, -np.sign(dv), (u + du * enter_v) / half_u


@inlined
def _draw_car(
    light: Light,
    eye: Eye,
    car: Floats32,
    dx: float,
    dy: float,
    rgb: Floats32,
    depth: Floats32,
) -> None:
    ox, oy = eye.x - car[AT_X], eye.y - car[AT_Y]
    cos, sin = float(car[TURN_COS]), float(car[TURN_SIN])
    long, wide = 0.5 * float(car[LENGTH]), 0.92
    rise = float(car[HIGH])
    belt = 0.56 * rise + 0.05
    z = eye.z - float(car[AT_Z])
    night = float(light.night)
    for part in range(2):
        cabin = part == 1
        half_u, half_v = (0.60 * long, 0.82) if cabin else (long, wide)
        shift = -0.10 * long if cabin else 0.0
        enter, leave, face_u, face_v, place = _box(
            ox - shift * cos, oy - shift * sin, dx, dy, cos, sin, half_u, half_v
        )
        if enter > leave or enter < 1.0:
            continue
        clear = np.exp(-enter / light.clear_m)
        bottom, top = (belt, rise) if cabin else (0.0, belt)
        nx, ny = face_u * cos - face_v * sin, face_u * sin + face_v * cos
        sun = max(nx * light.sun[0] + ny * light.sun[1], 0.0)
        high = max(int(np.ceil(eye.horizon - eye.focal * (top - z) / enter - 0.5)), 0)
        low = int(np.ceil(eye.horizon - eye.focal * (bottom - z) / enter - 0.5))
        for row in range(high, min(low, eye.rows)):
            if depth[row] < enter:
                continue
            up = z + enter * (eye.horizon - row - 0.5) / eye.focal
            red, green, blue, shine = float(car[RED]), float(car[GREEN]), float(car[BLUE]), 0.0
            if cabin:
                pillar = abs(abs(place) - 0.94) < 0.06 or (face_v != 0 and abs(place) < 0.04)
                if top - up > 0.10 and not pillar:
                    red, green, blue = 0.13, 0.16, 0.19
            else:
                from_axle = (abs(place) - 0.62) * half_u
                wheel = face_v != 0 and from_axle * from_axle + (up - 0.31) ** 2 < 0.105
                if wheel or up < 0.2:
                    red, green, blue = 0.07, 0.07, 0.075
                    if wheel and from_axle * from_axle + (up - 0.31) ** 2 < 0.03:
                        red, green, blue = 0.45, 0.45, 0.46
                elif face_u != 0 and 0.5 < up < 0.72 and abs(place) > 0.62:
                    red, green, blue = (0.85, 0.85, 0.80) if face_u > 0 else (0.65, 0.08, 0.07)
                    shine = night
                elif face_u != 0 and 0.32 < up < 0.46 and abs(place) < 0.3:
                    red, green, blue = 0.75, 0.75, 0.72
                elif up < 0.34:
                    red, green, blue = 0.6 * red, 0.6 * green, 0.6 * blue
            _blend(light, row, red, green, blue, sun + 0.1, clear, rgb)
            if shine > 0:
                rgb[row, 0] += 0.8 * shine * red
                rgb[row, 1] += 0.8 * shine * green
                rgb[row, 2] += 0.8 * shine * blue
            depth[row] = enter
        # The bonnet and the roof from above.
        if z > top:
            far = max(int(np.ceil(eye.horizon - eye.focal * (top - z) / leave - 0.5)), 0)
            for row in range(far, min(high, eye.rows)):
                at = eye.focal * (z - top) / max(row + 0.5 - eye.horizon, 1e-3)
                if depth[row] >= at:
                    red, green, blue = float(car[RED]), float(car[GREEN]), float(car[BLUE])
                    red, green, blue = red * 0.9 + 0.08, green * 0.9 + 0.09, blue * 0.9 + 0.1
                    _blend(light, row, red, green, blue, 1.0, clear, rgb)
                    depth[row] = at


@inlined
def draw_thing(
    light: Light,
    eye: Eye,
    thing: Floats32,
    t: float,
    aside: float,
    dx: float,
    dy: float,
    rgb: Floats32,
    depth: Floats32,
) -> None:
    """Draw a thing into one column.

    Args:
        light: of the photo.
        eye: the camera.
        thing: a row of :func:`scatter`.
        t: its depth, metres.
        aside: of the column from its middle, metres at that depth, to the right.
        dx: of the column's ray, east, for each metre of depth.
        dy: south.
        rgb: (rows, 3) to draw on.
        depth: (rows,) of the column.
    """
    if thing[KIND] == CAR:
        _draw_car(light, eye, thing, dx, dy, rgb, depth)
        return
    clear = np.exp(-t / light.clear_m)
    metre = eye.focal / t
    ground = eye.horizon + metre * (eye.z - thing[AT_Z])
    tall = float(thing[HIGH])
    high = max(int(ground - metre * (tall + 0.4)), 0)
    night = float(light.night)
    for row in range(high, min(int(ground + 0.5), eye.rows)):
        if depth[row] < t:
            break
        up = (ground - row - 0.5) / metre
        if thing[KIND] == LAMP:
            pole = abs(aside) < 0.06 and up < tall
            head = aside * aside / 0.09 + (up - tall) ** 2 / 0.035
            if head < 1:
                _blend(light, row, 0.6, 0.6, 0.58, 0.6, clear, rgb)
                rgb[row, 0] += 1.0 * night
                rgb[row, 1] += 0.85 * night
                rgb[row, 2] += 0.55 * night
                depth[row] = t
            elif pole:
                _blend(light, row, 0.24, 0.25, 0.26, 0.5, clear, rgb)
                depth[row] = t
            elif night > 0 and head < 12:
                halo = night * clear * 0.35 * (1 - head / 12) ** 2
                rgb[row, 0] += halo
                rgb[row, 1] += 0.8 * halo
                rgb[row, 2] += 0.5 * halo
        else:
            part = up / tall
            red, green, blue = float(thing[RED]), float(thing[GREEN]), float(thing[BLUE])
            if part > 0.87:
                inside = (aside / 0.11) ** 2 + ((part - 0.935) / 0.065) ** 2 < 1
                red, green, blue = 0.62, 0.47, 0.38
            elif part > 0.48:
                inside = abs(aside) < 0.24 - 0.06 * abs(part - 0.72)
            else:
                inside = 0.015 < abs(aside) < 0.15
                red, green, blue = 0.16, 0.17, 0.22
            if inside and part <= 1:
                _blend(light, row, red, green, blue, 0.5 + aside, clear, rgb)
                depth[row] = t
