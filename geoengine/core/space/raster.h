/* The cells that a polygon touches, what kind each is of, and which leaves are nearest in it. */

#ifndef GEOENGINE_RASTER_H
#define GEOENGINE_RASTER_H

#include "edges.h"

#define PAD_DEG 1e-9 /* a tenth of a millimetre: as in raster.py */
#define MIDDLE_CLEAR_DEG2 1e-18

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

static void mark(const Tables *own, int32_t ix, const Raster *to)
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
static int32_t list_runs(const Tables *own, int32_t ix, const Raster *in, int32_t at, Run *runs)
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

#endif
