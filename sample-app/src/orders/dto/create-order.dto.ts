import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsInt, Max, Min } from 'class-validator';
import { products, type Product } from '../catalogue.js';

/** Body of `POST /orders`. */
export class CreateOrderDto {
  @ApiProperty({ enum: products, example: 'keyboard' })
  @IsIn(products, { message: `product must be one of: ${products.join(', ')}` })
  product!: Product;

  @ApiProperty({ minimum: 1, maximum: 1_000, example: 2 })
  @IsInt({ message: 'quantity must be a whole number' })
  @Min(1, { message: 'quantity must be at least 1' })
  @Max(1_000, { message: 'quantity must be at most 1000' })
  quantity!: number;
}
