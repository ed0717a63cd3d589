/* geoengine.core.space._edges: how far positions are from the edges of polygons.

   A polygon's edges lie in the order of its rings, seven to a leaf, eight leaves to a branch, each
   with its box. A cell of the grid lists the leaves with edges that are nearest somewhere in it; of
   these, and without a cell of all, the nearest box is opened first, and none that is farther away
   than what was found. Inside or outside is told by the edges between a position and the middle of
   its cell, or those that a ray to the east crosses. What rounding could turn over is not decided
   here: the answer is then not a number, and whoever asks looks closer.

   With thousands of polygons a table is in no cache: time goes in waiting for memory, so what is
   read together lies together, and a batch asks for it some rows ahead.

   Tables belong to the caller. The sizes of all arrays are checked once; what they hold is the
   caller's word. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Where processors differ, for those of today as well; products keep their rounding in both. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define CLONED __attribute__((noinline, target_clones("avx2", "default")))
#else
#define CLONED __attribute__((noinline))
#endif

#define LEAF 7                  /* edges: with their eight points two lines of cache */
#define FAN 8                   /* leaves a branch; edges.py builds them so */
#define DEGREE (3.14159265358979323846 / 180)
#define WGS84_A_M 6378137.0     /* the same numbers as in units.py */
#define WGS84_E2 6.69437999014131705e-3
#define TINY 1e-300             /* degrees squared: an edge without length divides nothing by it */
#define TOO_NEAR_DEG2 1e-22     /* within a micrometre of an edge rounding may take sides */
#define TOO_FAR_M 15000.0       /* beyond it, and beyond this latitude, the geodesic is asked: */
#define TOO_FAR_NORTH_DEG 80.0  /* the mid-latitude formula is off by less than 3 cm until there */
/* Shewchuk's bound on the rounding of an orientation, (3 + 16 eps) eps, rounded up. */
#define TURN_ERROR 3.4e-16
#define PARABOLA_DEG 0.1 /* so far from its middle a parabola is off by 2e-9 at 80 degrees */
#define ROW_FACTOR 0x9E3779B1u /* of hashes of cells, as in tables.py */

typedef struct { double lon, lat; } Point;
typedef struct { Point points[LEAF + 1]; } Leaf; /* short ones repeat their last point */
typedef struct { float west, south, east, north; } Box; /* rounded outwards */
/* Of a polygon: scale of longitude, turn of the globe, cells of its grid per degree; metres per
   degree of latitude and of longitude, as parabolas over the degrees from its middle. */
typedef struct {
    double squeeze, middle_deg, per_deg, middle_lat, along[3], across[3];
} Plane;
typedef struct { int32_t first, leaves; } Run; /* of leaves */
typedef struct { int64_t shift, row_factor, mask, offset, bits; } Level; /* as in tables.py */

typedef struct {
    PyObject_HEAD
    Py_buffer held[13];
    int held_count;
    const Leaf *leaves;
    const Box *leaf_boxes, *branch_boxes;
    const int32_t *first_leaf, *first_branch; /* of each polygon, and one past the end */
    const Plane *planes;
    Py_ssize_t polygon_count;
    /* Of each cell of the grid, once known: its kind, how many runs of leaves, and these. A cell's
       number is where it begins. */
    const int32_t *cells;
    Py_ssize_t cells_end;
    /* The grid by which positions find polygons, once known: the tables of grid.py. */
    double per_deg; /* finest cells per degree */
    const Level *levels;
    Py_ssize_t level_count;
    const uint8_t *marks;
    uint32_t mark_mask;
    int marks_coarser; /* bits: cells of marks are larger */
    const int32_t *start, *items, *item_cells;
    const int64_t *keys;
} Edges;

/* Kinds of cells: no edge runs through one that is INNER; of others it is known whether their
   middle is inside, unless an edge comes too near it. */
enum { MIDDLE_OUT, MIDDLE_IN, INNER, MIDDLE_UNSURE, OUTER };
#define RUNS_MAX 12       /* a cell that needs more, or so many leaves, looks through branches */
#define LEAVES_MAX 64
#define PAD_DEG 1e-9      /* a tenth of a millimetre: as in raster.py */
#define MIDDLE_CLEAR_DEG2 1e-18

typedef struct { double x, y, squeeze, best2, near_x, near_y; } Search;

static inline double larger(double a, double b) /* fmax asks about NaN, in a call */
{
    return a > b ? a : b;
}

static inline double apart2(const Search *at, const Box *box)
{
    double x = larger(larger(box->west - at->x, at->x - box->east), 0.0) * at->squeeze;
    double y = larger(larger(box->south - at->y, at->y - box->north), 0.0);
    return x * x + y * y;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* Columns and no branches, so that a compiler measures several edges at a time: eight, of which the
   last is nothing. */
static inline __attribute__((always_inline)) void look_along(Search *at, const Leaf *leaf)
{
    double x[LEAF + 2], y[LEAF + 2], near_x[LEAF + 1], near_y[LEAF + 1], far2[LEAF + 1];
    for (int nth = 0; nth <= LEAF; nth++) {
        x[nth] = (leaf->points[nth].lon - at->x) * at->squeeze;
        y[nth] = leaf->points[nth].lat - at->y;
    }
    x[LEAF + 1] = x[LEAF];
    y[LEAF + 1] = y[LEAF];
    for (int nth = 0; nth <= LEAF; nth++) {
        double dx = x[nth + 1] - x[nth], dy = y[nth + 1] - y[nth];
        double share = -(x[nth] * dx + y[nth] * dy) / (dx * dx + dy * dy + TINY);
        share = share > 0.0 ? share : 0.0;
        share = share < 1.0 ? share : 1.0;
        near_x[nth] = x[nth] + share * dx;
        near_y[nth] = y[nth] + share * dy;
        far2[nth] = near_x[nth] * near_x[nth] + near_y[nth] * near_y[nth];
    }
    double least2 = smaller(smaller(smaller(far2[0], far2[1]), smaller(far2[2], far2[3])),
                            smaller(smaller(far2[4], far2[5]), far2[6]));
    if (!(least2 < at->best2))
        return;
    int nth = 0;
    while (far2[nth] != least2)
        nth++;
    at->best2 = least2;
    at->near_x = near_x[nth];
    at->near_y = near_y[nth];
}

/* The nearest of up to FAN boxes, and how far all of them are. */
static int32_t nearest_box(const Search *at, const Box *boxes, int32_t count, double far2[FAN])
{
    int32_t nearest = 0;
    for (int32_t nth = 0; nth < count; nth++) {
        far2[nth] = apart2(at, &boxes[nth]);
        if (far2[nth] < far2[nearest])
            nearest = nth;
    }
    return nearest;
}

static void look_in_branch(const Edges *own, Search *at, int32_t leaf, int32_t count)
{
    double far2[FAN] = {0};
    int32_t first = nearest_box(at, &own->leaf_boxes[leaf], count, far2);
    for (int32_t turn = -1; turn < count; turn++) {
        int32_t nth = turn < 0 ? first : turn;
        if (turn != first && far2[nth] < at->best2)
            look_along(at, &own->leaves[leaf + nth]);
    }
}

static void find_nearest(const Edges *own, int32_t ix, Search *at)
{
    int32_t branches = own->first_branch[ix + 1] - own->first_branch[ix], first = 0;
    int32_t leaf = own->first_leaf[ix], end = own->first_leaf[ix + 1];
    const Box *boxes = &own->branch_boxes[own->first_branch[ix]];
    double least2 = INFINITY;
    for (int32_t nth = 0; nth < branches; nth++) {
        double far2 = apart2(at, &boxes[nth]);
        if (far2 < least2) {
            least2 = far2;
            first = nth;
        }
    }
    for (int32_t turn = -1; turn < branches; turn++) {
        int32_t nth = turn < 0 ? first : turn, from = leaf + FAN * nth;
        if (turn != first && apart2(at, &boxes[nth]) < at->best2)
            look_in_branch(own, at, from, end - from < FAN ? end - from : FAN);
    }
}

/* Whether a position is an end of an edge, or on one that lies along the ray. */
static int is_on(double x, double y, const Point *a, const Point *b)
{
    if (a->lat == y && b->lat == y)
        return (a->lon <= x) != (b->lon <= x) || a->lon == x || b->lon == x;
    return (a->lat == y ? a->lon : b->lon) == x;
}

/* Edges of a leaf that a ray to the east crosses, odd or even; -1 if rounding could turn one. */
static int crossings(double x, double y, const Leaf *leaf)
{
    int odd = 0;
    for (const Point *point = leaf->points; point < leaf->points + LEAF; point++) {
        const Point *a = point, *b = point + 1;
        if ((a->lat == y || b->lat == y) && is_on(x, y, a, b))
            return -1;
        if ((a->lat <= y) == (b->lat <= y))
            continue;
        double left = (a->lon - x) * (b->lat - y), right = (a->lat - y) * (b->lon - x);
        double turn = left - right;
        if (fabs(turn) <= TURN_ERROR * (fabs(left) + fabs(right)))
            return -1;
        odd ^= (turn > 0) == (b->lat > a->lat);
    }
    return odd;
}

static int is_beside(const Box *box, double x, double y)
{
    return box->south <= y && y <= box->north && box->east >= x;
}

/* Whether a polygon holds a position: 1, 0, or -1 if rounding could turn the answer. */
static int holds(const Edges *own, int32_t ix, double x, double y)
{
    int32_t leaf = own->first_leaf[ix], end = own->first_leaf[ix + 1], odd = 0;
    const Box *branch = &own->branch_boxes[own->first_branch[ix]];
    for (; leaf < end; leaf += FAN, branch++) {
        if (!is_beside(branch, x, y))
            continue;
        for (int32_t at = leaf; at < end && at < leaf + FAN; at++) {
            const Box *box = &own->leaf_boxes[at];
            const Point *point = own->leaves[at].points;
            if (!is_beside(box, x, y))
                continue;
            if (box->west > x) {
                odd ^= (point->lat <= y) != (point[LEAF].lat <= y);
                continue;
            }
            int crossed = crossings(x, y, &own->leaves[at]);
            if (crossed < 0)
                return -1;
            odd ^= crossed;
        }
    }
    return odd;
}

/* Metres of a way so many degrees long, by the latitude of its middle: Gauss's formula. */
static inline double metres(const Plane *plane, double lat, double east_deg, double north_deg)
{
    double up = lat - plane->middle_lat, along, across;
    if (fabs(up) <= PARABOLA_DEG) {
        along = plane->along[0] + up * (plane->along[1] + up * plane->along[2]);
        across = plane->across[0] + up * (plane->across[1] + up * plane->across[2]);
    } else {
        double phi = lat * DEGREE, sine = sin(phi);
        double w2 = 1 - WGS84_E2 * sine * sine, w = sqrt(w2);
        along = WGS84_A_M * (1 - WGS84_E2) / (w2 * w) * DEGREE;
        across = WGS84_A_M * cos(phi) / w * DEGREE;
    }
    along *= north_deg;
    across *= east_deg;
    return sqrt(along * along + across * across);
}

/* Twice the area of a triangle, 0 if rounding could turn its sign. */
static double turn_of(double ax, double ay, double bx, double by, double x, double y)
{
    double left = (bx - ax) * (y - ay), right = (by - ay) * (x - ax), turn = left - right;
    return fabs(turn) <= TURN_ERROR * (fabs(left) + fabs(right)) ? 0.0 : turn;
}

/* Crossings of a leaf's edges with the way between a position and the middle of its cell, odd or
   even; -1 if rounding could turn one. */
static inline __attribute__((always_inline)) int crossings_to(const Leaf *leaf, double x, double y,
                                                              double mid_x, double mid_y)
{
    int64_t is_left[LEAF + 1], unsure = 0, odd = 0;
    for (int nth = 0; nth <= LEAF; nth++) {
        double left = (mid_x - x) * (leaf->points[nth].lat - y);
        double right = (mid_y - y) * (leaf->points[nth].lon - x), turn = left - right;
        unsure |= fabs(turn) <= TURN_ERROR * (fabs(left) + fabs(right));
        is_left[nth] = turn > 0;
    }
    if (unsure)
        return -1;
    for (int nth = 0; nth < LEAF; nth++) {
        const Point *a = &leaf->points[nth], *b = a + 1;
        if (is_left[nth] == is_left[nth + 1])
            continue;
        double here = turn_of(a->lon, a->lat, b->lon, b->lat, x, y);
        double there = turn_of(a->lon, a->lat, b->lon, b->lat, mid_x, mid_y);
        if (here == 0.0 || there == 0.0)
            return -1;
        odd ^= (here > 0) != (there > 0);
    }
    return (int)odd;
}

/* Whether a position is inside, by the edges between it and the middle of its cell; -1 if unsure.
   All of these are in the cell's own runs. */
static inline __attribute__((always_inline)) int holds_by_cell(const Edges *own, const int32_t *cell, double x, double y, double mid_x,
                         double mid_y)
{
    int odd = cell[0] == MIDDLE_IN;
    double west = x < mid_x ? x : mid_x, east = larger(x, mid_x);
    double south = y < mid_y ? y : mid_y, north = larger(y, mid_y);
    const int32_t *end = cell + 2 + 2 * cell[1];
    for (const int32_t *run = cell + 2; run < end; run += 2) {
        for (int32_t leaf = run[0]; leaf < run[0] + run[1]; leaf++) {
            const Box *box = &own->leaf_boxes[leaf];
            if ((box->west > east) | (box->east < west) | (box->south > north) |
                (box->north < south))
                continue;
            int crossed = crossings_to(&own->leaves[leaf], x, y, mid_x, mid_y);
            if (crossed < 0)
                return -1;
            odd ^= crossed;
        }
    }
    return odd;
}

static inline __attribute__((always_inline)) int holds_in(const Edges *own, int32_t ix, const int32_t *cell, double lon, double x,
                    double y)
{
    int is_in = -1;
    if (cell && cell[0] == INNER)
        return 1;
    if (cell && cell[0] != MIDDLE_UNSURE && cell[1]) {
        /* The same cell, by the same arithmetic, that the grid found for this position. */
        double per_deg = own->planes[ix].per_deg;
        double mid_x = ((int64_t)((lon + 180.0) * per_deg) + 0.5) / per_deg - 180.0 + (x - lon);
        double mid_y = ((int64_t)((y + 90.0) * per_deg) + 0.5) / per_deg - 90.0;
        is_in = holds_by_cell(own, cell, x, y, mid_x, mid_y);
    }
    return is_in < 0 ? holds(own, ix, x, y) : is_in;
}

/* A measure taken in two steps, between which the nearest leaf is on its way from memory. */
typedef struct {
    Search at;
    int is_in, count; /* leaves of the cell */
    int nearest, next; /* of these */
    double far2[LEAVES_MAX];
    int32_t leaves[LEAVES_MAX];
} Measure;

static void ask_for(const Leaf *leaf)
{
    __builtin_prefetch(&leaf->points[0]);
    __builtin_prefetch(&leaf->points[4]);
}

/* Two leaves are likely opened, the nearest box's and the next: ask the memory for both. */
static inline void look_at_boxes(const Edges *own, const int32_t *cell, Measure *measure)
{
    int count = 0;
    const int32_t *end = cell + 2 + 2 * cell[1];
    for (const int32_t *run = cell + 2; run < end && count + run[1] <= LEAVES_MAX; run += 2) {
        const Box *boxes = &own->leaf_boxes[run[0]];
        for (int nth = 0; nth < run[1]; nth++) {
            measure->far2[count + nth] = apart2(&measure->at, &boxes[nth]);
            measure->leaves[count + nth] = run[0] + nth;
        }
        count += run[1];
    }
    measure->count = count;
    /* A number of 64 in the last bits of a square does not matter to which is likely nearest. */
    uint64_t least = UINT64_MAX, next = UINT64_MAX;
    for (int nth = 0; nth < count; nth++) {
        uint64_t far;
        memcpy(&far, &measure->far2[nth], 8);
        far = (far & ~(uint64_t)(LEAVES_MAX - 1)) | (uint64_t)nth;
        uint64_t farther = far > least ? far : least;
        next = farther < next ? farther : next;
        least = far < least ? far : least;
    }
    measure->nearest = (int)(least % LEAVES_MAX);
    measure->next = count > 1 ? (int)(next % LEAVES_MAX) : measure->nearest;
    if (count) {
        ask_for(&own->leaves[measure->leaves[measure->nearest]]);
        ask_for(&own->leaves[measure->leaves[measure->next]]);
    }
}

CLONED static void begin(const Edges *own, int32_t ix, double lon, double lat,
                                            int32_t cell_ix, int is_inside_only, Measure *measure)
{
    const Plane *plane = &own->planes[ix];
    const int32_t *cell = cell_ix < 0 ? NULL : own->cells + cell_ix;
    double x = lon - 360.0 * rint((lon - plane->middle_deg) / 360.0);
    measure->at = (Search){x, lat, plane->squeeze, INFINITY, 0.0, 0.0};
    measure->count = 0;
    measure->is_in = fabs(lat) > TOO_FAR_NORTH_DEG ? -1 : holds_in(own, ix, cell, lon, x, lat);
    if (cell && (measure->is_in > 0 || !is_inside_only))
        look_at_boxes(own, cell, measure);
}

/* Signed distance to the edge, NaN if unsure. By a cell or not, the same edge is nearest. Infinite,
   and not looked for, outside, if only the inside matters. */
CLONED static double finish(const Edges *own, int32_t ix, int is_inside_only,
                                               Measure *measure)
{
    Search *at = &measure->at;
    if (measure->is_in < 0)
        return NAN;
    if (!measure->is_in && is_inside_only)
        return INFINITY;
    if (!measure->count)
        find_nearest(own, ix, at);
    for (int nth = -1; nth < measure->count; nth++) {
        int one = nth < 0 ? measure->nearest : nth;
        if (nth != measure->nearest && measure->count && measure->far2[one] < at->best2)
            look_along(at, &own->leaves[measure->leaves[one]]);
    }
    double far_m = metres(&own->planes[ix], at->y + at->near_y / 2, at->near_x / at->squeeze,
                          at->near_y);
    if (!(at->best2 > TOO_NEAR_DEG2) || far_m > TOO_FAR_M)
        return NAN;
    return measure->is_in ? -far_m : far_m;
}

/* A polygon in cells. */
typedef struct {
    int64_t column, row; /* of the cell in the south-west */
    int32_t width, height;
    double per_deg;
    uint8_t *kinds; /* rows from the south */
} Raster;

static void mark_piece(const Raster *to, double x0, double y0, double x1, double y1)
{
    double west = x0 < x1 ? x0 : x1, south = y0 < y1 ? y0 : y1;
    double east = larger(x0, x1), north = larger(y0, y1);
    int64_t left = (int64_t)floor((west - PAD_DEG + 180.0) * to->per_deg) - to->column;
    int64_t right = (int64_t)floor((east + PAD_DEG + 180.0) * to->per_deg) - to->column;
    int64_t down = (int64_t)floor((south - PAD_DEG + 90.0) * to->per_deg) - to->row;
    int64_t up = (int64_t)floor((north + PAD_DEG + 90.0) * to->per_deg) - to->row;
    for (int64_t row = down; row <= up; row++)
        for (int64_t column = left; column <= right; column++)
            if (row >= 0 && row < to->height && column >= 0 && column < to->width)
                to->kinds[row * to->width + column] = MIDDLE_UNSURE;
}

/* Mark every cell of the box of every piece, shorter than half a cell, of an edge. */
static void mark_edge(const Raster *to, const Point *a, const Point *b)
{
    double dx = b->lon - a->lon, dy = b->lat - a->lat;
    int64_t pieces = (int64_t)ceil(larger(fabs(dx), fabs(dy)) * to->per_deg * 2);
    pieces = pieces < 1 ? 1 : pieces;
    dx /= pieces;
    dy /= pieces;
    for (int64_t nth = 0; nth < pieces; nth++)
        mark_piece(to, a->lon + dx * nth, a->lat + dy * nth, a->lon + dx * (nth + 1),
                   a->lat + dy * (nth + 1));
}

static void mark(const Edges *own, int32_t ix, const Raster *to)
{
    for (int32_t leaf = own->first_leaf[ix]; leaf < own->first_leaf[ix + 1]; leaf++) {
        const Point *a = own->leaves[leaf].points;
        for (int nth = 0; nth < LEAF; nth++)
            mark_edge(to, a + nth, a + nth + 1);
    }
    for (int32_t at = 0; at < to->width * to->height; at++) {
        if (to->kinds[at] == MIDDLE_UNSURE)
            continue;
        /* No edge between neighbours that have none: what the one is, the other is. */
        if (at % to->width && to->kinds[at - 1] != MIDDLE_UNSURE)
            to->kinds[at] = to->kinds[at - 1];
        else if (at >= to->width && to->kinds[at - to->width] != MIDDLE_UNSURE)
            to->kinds[at] = to->kinds[at - to->width];
        else {
            double x = (to->column + at % to->width + 0.5) / to->per_deg - 180.0;
            double y = (to->row + at / to->width + 0.5) / to->per_deg - 90.0;
            to->kinds[at] = holds(own, ix, x, y) == 1 ? INNER : OUTER;
        }
    }
}

/* A cell's sides, and how far its four corners are from some point of an edge: from the south-west
   to the east, then the north. */
typedef struct { double west, south, east, north, squeeze, far2[4]; } Corners;

static inline double along2(double x, float low, float high, double squeeze)
{
    double apart = larger(larger(low - x, x - high), 0.0) * squeeze;
    return apart * apart;
}

/* Whether something in a box may be the nearest to somewhere in a cell. Where it is nearer than the
   point of the edge that the corners know of, so it is to a corner: of two points, all that is
   nearer to the one lies on its side of a straight line. */
static int may_be_nearest(const Corners *of, const Box *box)
{
    double west2 = along2(of->west, box->west, box->east, of->squeeze);
    double east2 = along2(of->east, box->west, box->east, of->squeeze);
    double south2 = along2(of->south, box->south, box->north, 1.0);
    double north2 = along2(of->north, box->south, box->north, 1.0);
    return (west2 + south2 <= of->far2[0]) | (east2 + south2 <= of->far2[1]) |
           (west2 + north2 <= of->far2[2]) | (east2 + north2 <= of->far2[3]);
}

static Corners corners_of(const Search *middle, double half)
{
    double side = half + PAD_DEG, across = side * middle->squeeze;
    Corners of = {middle->x - side, middle->y - side, middle->x + side, middle->y + side,
                  middle->squeeze, {0}};
    for (int nth = 0; nth < 4; nth++) {
        double x = middle->near_x - (nth & 1 ? across : -across);
        double y = middle->near_y - (nth & 2 ? side : -side);
        of.far2[nth] = (x * x + y * y) * 1.000001 + PAD_DEG * PAD_DEG;
    }
    return of;
}

/* The runs of all leaves with edges that are nearest somewhere in a cell; 0 if there are too many.
   Sets the kind of a cell with edges by its middle. */
static int32_t list_runs(const Edges *own, int32_t ix, const Raster *in, int32_t at, Run *runs)
{
    double half = 0.5 / in->per_deg;
    double x = (in->column + at % in->width + 0.5) / in->per_deg - 180.0;
    double y = (in->row + at / in->width + 0.5) / in->per_deg - 90.0;
    Search middle = {x, y, own->planes[ix].squeeze, INFINITY, 0.0, 0.0};
    find_nearest(own, ix, &middle);
    Corners corners = corners_of(&middle, half);
    if (in->kinds[at] == MIDDLE_UNSURE && middle.best2 > MIDDLE_CLEAR_DEG2) {
        int is_in = holds(own, ix, x, y);
        in->kinds[at] = is_in < 0 ? MIDDLE_UNSURE : is_in ? MIDDLE_IN : MIDDLE_OUT;
    }
    int32_t count = 0, leaves = 0, leaf = own->first_leaf[ix], end = own->first_leaf[ix + 1];
    const Box *branch = &own->branch_boxes[own->first_branch[ix]];
    for (; leaf < end; leaf += FAN, branch++) {
        if (!may_be_nearest(&corners, branch))
            continue;
        for (int32_t one = leaf; one < end && one < leaf + FAN; one++) {
            if (!may_be_nearest(&corners, &own->leaf_boxes[one]))
                continue;
            int is_next = count && runs[count - 1].first + runs[count - 1].leaves == one;
            if (++leaves > LEAVES_MAX || (!is_next && count == RUNS_MAX))
                return 0;
            if (is_next)
                runs[count - 1].leaves++;
            else
                runs[count++] = (Run){one, 1};
        }
    }
    return count;
}

static int view(Edges *own, PyObject *array, Py_ssize_t item_bytes, const void *into,
                Py_ssize_t *items)
{
    Py_buffer *buffer = &own->held[own->held_count];
    if (PyObject_GetBuffer(array, buffer, PyBUF_C_CONTIGUOUS) < 0)
        return -1;
    own->held_count++;
    if (buffer->len % item_bytes) {
        PyErr_Format(PyExc_ValueError, "table %d: not of %zd bytes a row", own->held_count,
                     item_bytes);
        return -1;
    }
    *(const void **)into = buffer->buf;
    *items = buffer->len / item_bytes;
    return 0;
}

static int edges_init(Edges *own, PyObject *args, PyObject *kwargs)
{
    PyObject *of[6];
    Py_ssize_t leaves, boxes, branches, leaf_ends, branch_ends, planes;
    if (kwargs || own->held_count) {
        PyErr_SetString(PyExc_TypeError, "Edges are made once, of positional arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "OOOOOO:Edges", &of[0], &of[1], &of[2], &of[3], &of[4], &of[5]))
        return -1;
    if (view(own, of[0], sizeof(Leaf), &own->leaves, &leaves) < 0 ||
        view(own, of[1], sizeof(Box), &own->leaf_boxes, &boxes) < 0 ||
        view(own, of[2], sizeof(Box), &own->branch_boxes, &branches) < 0 ||
        view(own, of[3], 4, &own->first_leaf, &leaf_ends) < 0 ||
        view(own, of[4], 4, &own->first_branch, &branch_ends) < 0 ||
        view(own, of[5], sizeof(Plane), &own->planes, &planes) < 0)
        return -1;
    if (leaves != boxes || leaf_ends != planes + 1 || branch_ends != planes + 1 ||
        own->first_leaf[planes] != leaves || own->first_branch[planes] != branches) {
        PyErr_SetString(PyExc_ValueError, "tables of different sizes");
        return -1;
    }
    own->polygon_count = planes;
    return 0;
}

static void edges_dealloc(Edges *own)
{
    while (own->held_count)
        PyBuffer_Release(&own->held[--own->held_count]);
    Py_TYPE(own)->tp_free((PyObject *)own);
}

static int is_known(const Edges *own, int32_t ix)
{
    if (ix >= 0 && ix < own->polygon_count)
        return 1;
    PyErr_Format(PyExc_IndexError, "no polygon %d", ix);
    return 0;
}

#define BLOCK 16 /* rows whose waits for memory overlap: more than it answers at a time gain nothing */

/* Ask the memory for the boxes of the leaves that cells list. */
static void fetch(const Edges *own, const int32_t *cells, int count)
{
    for (int row = 0; row < count; row++) {
        const int32_t *cell = own->cells + cells[row];
        if (cells[row] < 0)
            continue;
        for (const int32_t *run = cell + 2; run < cell + 2 + 2 * cell[1]; run += 2)
            for (int32_t leaf = 0; leaf < run[1] + 3; leaf += 4)
                __builtin_prefetch(&own->leaf_boxes[run[0] + leaf]);
    }
}

/* Numbers, positions, and where the answers go: columns of one length. */
static int fill(const Edges *own, const Py_buffer columns[4])
{
    const int32_t *ix = columns[0].buf;
    const double *lon = columns[1].buf, *lat = columns[2].buf;
    double *out = columns[3].buf;
    Py_ssize_t count = columns[0].len / 4;
    if (columns[1].len != 8 * count || columns[2].len != 8 * count || columns[3].len != 8 * count) {
        PyErr_SetString(PyExc_ValueError, "columns of different lengths");
        return -1;
    }
    for (Py_ssize_t row = 0; row < count; row++)
        if (!is_known(own, ix[row]))
            return -1;
    Py_BEGIN_ALLOW_THREADS
    Measure measure;
    for (Py_ssize_t row = 0; row < count; row++) {
        begin(own, ix[row], lon[row], lat[row], -1, 0, &measure);
        out[row] = finish(own, ix[row], 0, &measure);
    }
    Py_END_ALLOW_THREADS
    return 0;
}

static PyObject *edges_measure(Edges *own, PyObject *args)
{
    PyObject *of[4];
    Py_buffer columns[4];
    int held = 0, done = -1;
    if (!PyArg_ParseTuple(args, "OOOO:measure", &of[0], &of[1], &of[2], &of[3]))
        return NULL;
    for (; held < 4; held++) {
        int flags = PyBUF_C_CONTIGUOUS | (held == 3 ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(of[held], &columns[held], flags) < 0)
            break;
    }
    if (held == 4)
        done = fill(own, columns);
    while (held)
        PyBuffer_Release(&columns[--held]);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Rows of an answer, that grow: position, polygon, or entry of the grid, and how far its edge is. */
typedef struct {
    Py_ssize_t count, room;
    int64_t *fix;
    int32_t *ix;
    double *edge_m;
} Found;

static int add(Found *to, int64_t fix, int32_t ix, double edge_m)
{
    if (to->count == to->room) {
        Py_ssize_t room = to->room ? 4 * to->room : 64;
        int64_t *fixes = PyMem_RawRealloc(to->fix, 8 * room);
        to->fix = fixes ? fixes : to->fix;
        int32_t *numbers = PyMem_RawRealloc(to->ix, 4 * room);
        to->ix = numbers ? numbers : to->ix;
        double *edges_m = PyMem_RawRealloc(to->edge_m, 8 * room);
        to->edge_m = edges_m ? edges_m : to->edge_m;
        if (!fixes || !numbers || !edges_m)
            return -1;
        to->room = room;
    }
    to->fix[to->count] = fix;
    to->ix[to->count] = ix;
    to->edge_m[to->count++] = edge_m;
    return 0;
}

static void forget(Found *found)
{
    PyMem_RawFree(found->fix);
    PyMem_RawFree(found->ix);
    PyMem_RawFree(found->edge_m);
}

/* A batch of positions, and the entries of the grid that are to be measured next. */
typedef struct {
    const Edges *own;
    const double *lon, *lat;
    int waiting;
    int64_t fix[BLOCK];
    int32_t entry[BLOCK], ix[BLOCK], cell[BLOCK];
    Found inside, unsure; /* of the latter the entries */
} Batch;

static int measure_waiting(Batch *batch)
{
    const Edges *own = batch->own;
    int count = batch->waiting;
    Measure measures[BLOCK];
    batch->waiting = 0;
    fetch(own, batch->cell, count);
    for (int nth = 0; nth < count; nth++)
        begin(own, batch->ix[nth], batch->lon[batch->fix[nth]], batch->lat[batch->fix[nth]],
              batch->cell[nth], 1, &measures[nth]);
    for (int nth = 0; nth < count; nth++) {
        double edge_m = finish(own, batch->ix[nth], 1, &measures[nth]);
        if (edge_m <= 0.0 && add(&batch->inside, batch->fix[nth], batch->ix[nth], edge_m) < 0)
            return -1;
        if (isnan(edge_m) && add(&batch->unsure, batch->fix[nth], batch->entry[nth], edge_m) < 0)
            return -1;
    }
    return 0;
}

static int take_up(Batch *batch, int64_t fix, int32_t entry)
{
    const Edges *own = batch->own;
    int32_t ix = own->items[entry], cell = own->item_cells[entry];
    int nth = batch->waiting++;
    batch->fix[nth] = fix;
    batch->entry[nth] = entry;
    batch->ix[nth] = ix;
    batch->cell[nth] = cell;
    __builtin_prefetch(&own->planes[ix]);
    if (cell >= 0)
        __builtin_prefetch(own->cells + cell);
    return batch->waiting == BLOCK ? measure_waiting(batch) : 0;
}

#define CHUNK 256     /* positions of which the marks are asked for before their entries are */
#define LEVELS_MAX 24 /* of cells of 2 to 24 bits there are 23 */
#define SEVERAL 0xFF  /* these two as in tables.py */
#define PRINT_SHIFT 24

typedef struct { uint32_t place; uint16_t nth, level; } Hit;

/* The marked cells of a level among those of some positions. No branch: half of them would go the
   unexpected way. */
static inline __attribute__((always_inline)) int find_marked(const Edges *own, const uint32_t *column, const uint32_t *row, int count,
                       uint16_t level, Hit *hits)
{
    const Level *at = &own->levels[level];
    uint32_t print[CHUNK], place[CHUNK], factor = (uint32_t)at->row_factor;
    uint32_t mask = (uint32_t)at->mask, offset = (uint32_t)at->offset;
    int shift = (int)at->shift, wide = shift + own->marks_coarser, found = 0;
    for (int nth = 0; nth < count; nth++) {
        print[nth] = (row[nth] >> wide) * factor + (column[nth] >> wide);
        place[nth] = (((row[nth] >> shift) * ROW_FACTOR + (column[nth] >> shift)) & mask) + offset;
    }
    for (int nth = 0; nth < count; nth++) {
        uint8_t mark = own->marks[print[nth] & own->mark_mask];
        uint8_t is_own = mark == (uint8_t)(print[nth] >> PRINT_SHIFT);
        hits[found] = (Hit){place[nth], (uint16_t)nth, level};
        found += (mark != 0) & (is_own | (mark == SEVERAL));
    }
    return found;
}

/* Every position with every polygon of its cells, up to CHUNK of them from the nth on. */
CLONED static int match_some(Batch *batch, Py_ssize_t from, int count)
{
    const Edges *own = batch->own;
    uint32_t column[CHUNK], row[CHUNK];
    Hit hits[CHUNK * LEVELS_MAX + 1];
    int hit_count = 0;
    for (int nth = 0; nth < count; nth++) {
        column[nth] = (uint32_t)(int32_t)((batch->lon[from + nth] + 180.0) * own->per_deg);
        row[nth] = (uint32_t)(int32_t)((batch->lat[from + nth] + 90.0) * own->per_deg);
    }
    for (int level = 0; level < own->level_count; level++)
        hit_count += find_marked(own, column, row, count, (uint16_t)level, hits + hit_count);
    for (const Hit *hit = hits; hit < hits + hit_count; hit++)
        __builtin_prefetch(&own->start[hit->place]);
    int kept = 0; /* of those, the ones in whose place there is something */
    for (const Hit *hit = hits; hit < hits + hit_count; hit++) {
        int32_t begin = own->start[hit->place], end = own->start[hit->place + 1];
        hits[kept] = *hit;
        kept += begin < end;
    }
    for (const Hit *hit = hits; hit < hits + kept; hit++) {
        int32_t entry = own->start[hit->place];
        __builtin_prefetch(&own->keys[entry]);
        __builtin_prefetch(&own->items[entry]);
        __builtin_prefetch(&own->item_cells[entry]);
    }
    for (const Hit *hit = hits; hit < hits + kept; hit++) {
        const Level *at = &own->levels[hit->level];
        int64_t up = row[hit->nth] >> at->shift, along = column[hit->nth] >> at->shift;
        int64_t key = at->bits << 56 | up << 28 | along;
        int32_t end = own->start[hit->place + 1];
        for (int32_t entry = own->start[hit->place]; entry < end; entry++)
            if (own->keys[entry] == key && take_up(batch, from + hit->nth, entry) < 0)
                return -1;
    }
    return 0;
}

static int match_all(Batch *batch, Py_ssize_t count)
{
    for (Py_ssize_t from = 0; from < count; from += CHUNK)
        if (match_some(batch, from, count - from < CHUNK ? (int)(count - from) : CHUNK) < 0)
            return -1;
    return measure_waiting(batch);
}

/* Columns of what is inside: positions, polygons, distances; of what is unsure: positions, entries.
   Arrays of bytes, so that numpy may write into them. */
static PyObject *columns_of(const Batch *batch)
{
    const Found *found[2] = {&batch->inside, &batch->unsure};
    PyObject *made = PyTuple_New(5);
    for (int nth = 0; made && nth < 5; nth++) {
        const Found *of = found[nth / 3];
        const void *from = nth == 2 ? (void *)of->edge_m : nth % 3 ? (void *)of->ix : of->fix;
        PyObject *column = PyByteArray_FromStringAndSize(from, (nth % 3 == 1 ? 4 : 8) * of->count);
        if (column)
            PyTuple_SET_ITEM(made, nth, column);
        else
            Py_CLEAR(made);
    }
    return made;
}

static PyObject *edges_match(Edges *own, PyObject *args)
{
    PyObject *lons, *lats, *made = NULL;
    Py_buffer lon, lat;
    if (!PyArg_ParseTuple(args, "OO:match", &lons, &lats) ||
        PyObject_GetBuffer(lons, &lon, PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    if (PyObject_GetBuffer(lats, &lat, PyBUF_C_CONTIGUOUS) < 0) {
        PyBuffer_Release(&lon);
        return NULL;
    }
    if (lon.len != lat.len || lon.len % 8) {
        PyErr_SetString(PyExc_ValueError, "columns of different lengths");
    } else {
        Batch batch = {.own = own, .lon = lon.buf, .lat = lat.buf};
        int done;
        Py_BEGIN_ALLOW_THREADS
        done = match_all(&batch, lon.len / 8);
        Py_END_ALLOW_THREADS
        made = done < 0 ? PyErr_NoMemory() : columns_of(&batch);
        forget(&batch.inside);
        forget(&batch.unsure);
    }
    PyBuffer_Release(&lat);
    PyBuffer_Release(&lon);
    return made;
}

/* The polygons of one position: pairs of number and distance; None if any is unsure. */
static PyObject *edges_match_one(Edges *own, PyObject *const *args, Py_ssize_t count)
{
    double lon = count == 2 ? PyFloat_AsDouble(args[0]) : -1;
    double lat = count == 2 ? PyFloat_AsDouble(args[1]) : -1;
    if (PyErr_Occurred())
        return NULL;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "match_one is asked of a longitude and a latitude");
    Batch batch = {.own = own, .lon = &lon, .lat = &lat};
    PyObject *made = NULL;
    const Found *inside = &batch.inside;
    if (match_all(&batch, 1) < 0)
        PyErr_NoMemory();
    else if (batch.unsure.count)
        made = Py_NewRef(Py_None);
    else
        made = PyList_New(inside->count);
    for (Py_ssize_t nth = 0; made && made != Py_None && nth < inside->count; nth++) {
        PyObject *pair = Py_BuildValue("(id)", inside->ix[nth], inside->edge_m[nth]);
        if (pair)
            PyList_SET_ITEM(made, nth, pair);
        else
            Py_CLEAR(made);
    }
    forget(&batch.inside);
    forget(&batch.unsure);
    return made;
}

/* Take up the tables of the grid. */
static PyObject *edges_find_by(Edges *own, PyObject *args)
{
    PyObject *of[6];
    Py_ssize_t levels, marks, starts, items, cells, keys;
    if (own->levels || !own->cells) {
        PyErr_SetString(PyExc_TypeError, "a grid is taken up once, after the cells");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "diOOOOOO:find_by", &own->per_deg, &own->marks_coarser, &of[0],
                          &of[1], &of[2], &of[3], &of[4], &of[5]) ||
        view(own, of[0], sizeof(Level), &own->levels, &levels) < 0 ||
        view(own, of[1], 1, &own->marks, &marks) < 0 ||
        view(own, of[2], 4, &own->start, &starts) < 0 ||
        view(own, of[3], 4, &own->items, &items) < 0 ||
        view(own, of[4], 8, &own->keys, &keys) < 0 ||
        view(own, of[5], 4, &own->item_cells, &cells) < 0)
        return NULL;
    const Level *last = own->levels + levels - 1;
    if (levels > LEVELS_MAX || own->marks_coarser < 0 || own->marks_coarser > 8 || items != cells || items != keys || (marks & (marks - 1)) ||
        !starts || own->start[starts - 1] != items ||
        (levels && (!marks || last->offset + last->mask + 2 != starts))) {
        PyErr_SetString(PyExc_ValueError, "tables of different sizes");
        return NULL;
    }
    own->mark_mask = (uint32_t)(marks - 1);
    own->level_count = levels;
    Py_RETURN_NONE;
}

/* What `cells` gives back: columns and rows, kinds, where each begins, and what is kept of them. */
static PyObject *told(const Edges *own, int32_t ix, const Raster *in)
{
    int32_t most = in->width * in->height, cells = 0, end = 0;
    int32_t *places = PyMem_Malloc(12 * (size_t)most);
    uint8_t *kinds = PyMem_Malloc(most);
    int32_t *kept = PyMem_Malloc((8 + sizeof(Run) * RUNS_MAX) * (size_t)most);
    PyObject *made = NULL;
    if (!places || !kinds || !kept) {
        PyErr_NoMemory();
    } else {
        int32_t *column = places, *row = places + most, *begins = row + most;
        for (int32_t at = 0; at < most; at++) {
            if (in->kinds[at] == OUTER)
                continue;
            int32_t count = list_runs(own, ix, in, at, (Run *)(kept + end + 2));
            column[cells] = (int32_t)(in->column + at % in->width);
            row[cells] = (int32_t)(in->row + at / in->width);
            begins[cells] = end;
            kinds[cells++] = in->kinds[at];
            kept[end] = in->kinds[at];
            kept[end + 1] = count;
            end += 2 + 2 * count;
        }
        Py_ssize_t bytes = 4 * (Py_ssize_t)cells;
        made = Py_BuildValue("y#y#y#y#y#", (char *)column, bytes, (char *)row, bytes,
                             (char *)kinds, (Py_ssize_t)cells, (char *)begins, bytes,
                             (char *)kept, 4 * (Py_ssize_t)end);
    }
    PyMem_Free(places);
    PyMem_Free(kinds);
    PyMem_Free(kept);
    return made;
}

static PyObject *edges_cells(Edges *own, PyObject *args)
{
    int ix;
    long long column, row;
    Raster raster;
    if (!PyArg_ParseTuple(args, "iLLii:cells", &ix, &column, &row, &raster.width,
                          &raster.height) ||
        !is_known(own, ix))
        return NULL;
    raster.column = column;
    raster.row = row;
    raster.per_deg = own->planes[ix].per_deg;
    if (raster.width < 1 || raster.height < 1 || (double)raster.width * raster.height > 1e6) {
        PyErr_SetString(PyExc_ValueError, "a polygon in no cells, or in over a million");
        return NULL;
    }
    raster.kinds = PyMem_Calloc((size_t)raster.width * raster.height, 1);
    if (!raster.kinds)
        return PyErr_NoMemory();
    mark(own, ix, &raster);
    PyObject *made = told(own, ix, &raster);
    PyMem_Free(raster.kinds);
    return made;
}

/* Take up what is kept of the cells of all polygons. */
static PyObject *edges_keep(Edges *own, PyObject *cells)
{
    if (own->cells) {
        PyErr_SetString(PyExc_TypeError, "cells are kept once");
        return NULL;
    }
    if (view(own, cells, 4, &own->cells, &own->cells_end) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef edges_methods[] = {
    {"measure", (PyCFunction)edges_measure, METH_VARARGS, PyDoc_STR("Signed distances, metres.")},
    {"cells", (PyCFunction)edges_cells, METH_VARARGS, PyDoc_STR("A polygon's, of a box.")},
    {"keep", (PyCFunction)edges_keep, METH_O, PyDoc_STR("The cells of all polygons.")},
    {"find_by", (PyCFunction)edges_find_by, METH_VARARGS, PyDoc_STR("The grid's tables.")},
    {"match", (PyCFunction)edges_match, METH_VARARGS, PyDoc_STR("What positions are inside of.")},
    {"match_one", (PyCFunction)(void (*)(void))edges_match_one, METH_FASTCALL,
     PyDoc_STR("What one position is inside of.")},
    {NULL},
};

static PyTypeObject EdgesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "geoengine.core.space._edges.Edges",
    .tp_doc = PyDoc_STR("The edges of polygons, by place."),
    .tp_basicsize = sizeof(Edges),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew, /* all zero: nothing is held yet */
    .tp_init = (initproc)edges_init,
    .tp_dealloc = (destructor)edges_dealloc,
    .tp_methods = edges_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_edges", "Distances to the edges of polygons.", -1, NULL,
};

PyMODINIT_FUNC PyInit__edges(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddType(made, &EdgesType) < 0)
        Py_CLEAR(made);
    return made;
}
