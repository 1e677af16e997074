import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { Reservation } from './reservation.entity.js';
import { Stock } from './stock.entity.js';

@Controller('inventory')
@ApiTags('inventory')
export class InventoryController {
  constructor(
    @InjectRepository(Stock) private readonly stock: Repository<Stock>,
    @InjectRepository(Reservation) private readonly reservations: Repository<Reservation>,
  ) {}

  @Get()
  @ApiOkResponse({ type: [Stock] })
  list(): Promise<Stock[]> {
    return this.stock.find({ order: { product: 'ASC' } });
  }

  @Get('reservations')
  @ApiOkResponse({ type: [Reservation] })
  listReservations(): Promise<Reservation[]> {
    return this.reservations.find();
  }
}
